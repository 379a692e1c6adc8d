// The inside of an inspection: one screen of it at a time, with what runs beside always in sight.
import { useEffect, useMemo } from "preact/hooks";
import type { Field } from "../../engine/field";
import { lasting, runningNow } from "../../recording";
import { partsOf, path } from "../../router";
import { say } from "../../texts";
import { Failed, Notice, Page, useWork } from "../parts";
import { CaptureScreen } from "./capture";
import { FormScreen, FormsScreen } from "./form";
import { GapScreen, NoteScreen, ObstructionScreen, PeerScreen } from "./further";
import { ItemScreen, ItemsScreen } from "./items";
import { Overview } from "./overview";
import { SealScreen } from "./sealing";
import { OpenVisit, type Known } from "./visit";
import "./inspection.css";

export interface ScreenProps {
  readonly visit: OpenVisit;
  readonly known: Known;
}

export function InspectionScreen(props: {
  readonly field: Field;
  readonly id: string;
  readonly go: (path: string) => void;
}) {
  const { field, id, go } = props;
  const visit = useMemo(() => new OpenVisit(field, id, go), [field, id]);
  useEffect(() => {
    visit.begin();
    return () => visit.end();
  }, [visit]);
  const known = visit.known.value;
  if (known === null) return <Page title={say("field.visit.title")}>{say("field.starting")}</Page>;
  if (known === undefined) {
    return (
      <Page title={say("field.visit.title")} back="/today">
        <Notice tone="warning">{say("field.visit.unknown")}</Notice>
      </Page>
    );
  }
  return (
    <div class="visit">
      <RunningSign visit={visit} />
      <Inside visit={visit} known={known} />
    </div>
  );
}

function Inside(props: ScreenProps) {
  const { visit, known } = props;
  const [, , screen = "", first = "", second = ""] = partsOf(path.value);
  // Everything here is signed in somebody's name.
  if (known.present.length === 0) {
    return (
      <Page title={known.info.title || say("field.visit.untitled")} back="/today">
        <Notice tone="warning" alert>
          {say("field.visit.nobody")}
        </Notice>
        <button type="button" class="main" onClick={() => visit.go("/officers")}>
          {say("field.officers.title")}
        </button>
      </Page>
    );
  }
  switch (screen) {
    case "capture":
      return <CaptureScreen visit={visit} known={known} step={first} />;
    case "items":
      return <ItemsScreen visit={visit} known={known} />;
    case "item":
      return <ItemScreen key={first} visit={visit} known={known} item={first} />;
    case "forms":
      return <FormsScreen visit={visit} known={known} />;
    case "form":
      return <FormScreen key={second} visit={visit} known={known} form={first} record={second} />;
    case "gap":
      return <GapScreen visit={visit} known={known} />;
    case "peer":
      return <PeerScreen visit={visit} known={known} />;
    case "obstruction":
      return <ObstructionScreen visit={visit} known={known} />;
    case "note":
      return <NoteScreen visit={visit} known={known} />;
    case "seal":
      return <SealScreen visit={visit} known={known} />;
    default:
      return <Overview visit={visit} known={known} />;
  }
}

/** A recording that runs is never out of sight, and can be stopped from everywhere. */
function RunningSign(props: { readonly visit: OpenVisit }) {
  const { visit } = props;
  const { busy, failure, run } = useWork();
  const now = runningNow.value;
  const stop = (): void =>
    void run(async () => {
      await visit.field.recordings.stop();
      await visit.reload();
    });
  return (
    <>
      {now !== null && (
        <div class="running" role="status">
          <span class="dot" aria-hidden="true" />
          <span>
            {say(`field.recording.${now.running.row.kind}`)} {lasting(now.seconds)}
          </span>
          <button type="button" disabled={busy.value} onClick={stop}>
            {say("field.recording.stop")}
          </button>
        </div>
      )}
      <Failed text={failure.value} />
    </>
  );
}

export default InspectionScreen;
