// The inspection's first page: the steps of the whole process in order, none of them blocking.
import { useSignal } from "@preact/signals";
import type { RecordingKind } from "../../engine/recordings";
import { runningNow } from "../../recording";
import { say } from "../../texts";
import { Failed, Icon, Notice, Page, useWork } from "../parts";
import type { ScreenProps } from "./index";
import { acts, clock } from "./visit";

export const STEPS = [
  "arrival",
  "certificates_shown",
  "party_identified",
  "rights_told",
  "inspected",
  "stop_order",
  "sampled",
  "sealed_samples",
  "interviewed",
  "signed",
  "copies_handed_over",
  "result_told",
  "left",
] as const;

export type Step = (typeof STEPS)[number];

export function Overview(props: ScreenProps) {
  const { visit, known } = props;
  const { info, items } = known;
  const { failure, busy, run } = useWork();
  const running = runningNow.value;
  const record = (kind: RecordingKind): void =>
    void run(async () => {
      const [officer = ""] = known.present;
      await visit.field.record(officer, visit.id, kind);
      await visit.reload();
    });
  const kept = items.filter((item) => !item.discarded).length;
  return (
    <Page title={info.title || say("field.visit.untitled")} back="/today">
      <p class="quiet">
        {say("field.visit.since", { time: clock(info.openedAtMs) })} ·{" "}
        {info.officers.map((one) => known.names.get(one)).join(say("field.comma"))}
      </p>
      {info.sealed && <Notice tone="good">{say("field.seal.done")}</Notice>}
      <Place {...props} />
      <Failed text={failure.value} />
      <div class="pair">
        <button type="button" class="main" onClick={() => visit.go(visit.path("capture"))}>
          {say("field.capture.title")}
        </button>
        {running === null && (
          <>
            <button type="button" disabled={busy.value} onClick={() => record("video")}>
              {say("field.recording.start.video")}
            </button>
            <button type="button" disabled={busy.value} onClick={() => record("audio")}>
              {say("field.recording.start.audio")}
            </button>
          </>
        )}
        <button type="button" class="obstruct" onClick={() => visit.go(visit.path("obstruction"))}>
          {say("field.obstruction.title")}
        </button>
      </div>
      <h2>{say("field.steps.title")}</h2>
      <ol class="plain steps">
        {STEPS.map((step) => (
          <StepRow key={step} step={step} {...props} />
        ))}
      </ol>
      <h2>{say("field.visit.papers")}</h2>
      <Way to="items" {...props} text={say("field.items.count", { count: kept })} />
      <Way to="forms" {...props} text={say("field.forms.title")} />
      <Way to="peer" {...props} text={say("field.peer.title")} />
      <Way to="gap" {...props} text={say("field.gap.title")} />
      <Way to="note" {...props} text={say(info.sealed ? "field.note.late" : "field.note.title")} />
      {!info.sealed && <Way to="seal" {...props} text={say("field.seal.title")} />}
    </Page>
  );
}

function Way(props: ScreenProps & { readonly to: string; readonly text: string }) {
  return (
    <a class="row" href={`#${props.visit.path(props.to)}`}>
      <span>{props.text}</span>
      <Icon name="next" />
    </a>
  );
}

/** Where the phone believes to be, how exactly, and how old that is. */
function Place({ visit }: ScreenProps) {
  void visit.beat.value;
  const { fix, state } = visit.position;
  if (fix !== null && state === "known") {
    const age = Math.max(0, Math.round((Date.now() - fix.fix_ms) / 1000));
    return (
      <p class="quiet" role="status">
        {say("field.position.known", { accuracy: Math.round(fix.acc / 100), age })}
      </p>
    );
  }
  if (state === "waiting") return <p class="quiet">{say("field.position.waiting")}</p>;
  return <Notice tone="warning">{say(`field.position.${state === "denied" ? "denied" : "unavailable"}`)}</Notice>;
}

function StepRow(props: ScreenProps & { readonly step: Step }) {
  const { visit, known, step } = props;
  const again = useSignal(false);
  const { busy, failure, run } = useWork();
  const marks = acts(known, "step.marked").filter(({ act }) => act["step"] === step);
  const last = marks.at(-1);
  const mark = (): void => {
    // A second mark is as true as the first, but a glove that slips should not make one.
    if (last !== undefined && !again.value) {
      again.value = true;
      return;
    }
    void run(async () => {
      await visit.say("step.marked", { step });
      again.value = false;
    });
  };
  const name = say(`field.step.${step}`);
  return (
    <li>
      <div class="step">
        <button type="button" class={last === undefined ? "" : "done"} disabled={busy.value} onClick={mark}>
          {last !== undefined && <Icon name="check" />}
          <span>
            {again.value ? say("field.step.again", { step: name }) : name}
            {last !== undefined && <small>{say("field.step.at", { time: clock(last.wallMs) })}</small>}
          </span>
        </button>
        <button
          type="button"
          class="photo"
          aria-label={say("field.step.photo", { step: name })}
          onClick={() => visit.go(visit.path("capture", step))}
        >
          {say("field.photo")}
        </button>
      </div>
      <Failed text={failure.value} />
    </li>
  );
}
