// Taking pictures: our own camera first, the system's as the second lane, files as the third.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { CaptureClass } from "../../engine/capture";
import { Camera } from "../../engine/camera";
import { say } from "../../texts";
import { Failed, Icon, Notice, Page, useWork } from "../parts";
import type { ScreenProps } from "./index";
import { STEPS } from "./overview";
import { clock } from "./visit";

/** A fix older than this is not where a picture was taken. */
const OLDEST_FIX_MS = 120_000;

export function CaptureScreen(props: ScreenProps & { readonly step: string }) {
  const { visit, known } = props;
  const [officer = ""] = known.present;
  const place = useRef<HTMLDivElement>(null);
  const camera = useMemo(() => new Camera(), []);
  const [step, title, fact] = [useSignal(props.step), useSignal(""), useSignal("")];
  const saved = useSignal<readonly string[]>([]);
  const starting = useWork();
  const work = useWork();
  useEffect(() => {
    void starting.run(async () => {
      // A film that runs has the camera: the picture is taken of what it sees.
      const shared = visit.field.recordings.running?.stream;
      await camera.start(shared !== undefined && shared.getVideoTracks().length > 0 ? shared : undefined);
      place.current?.append(camera.video);
    });
    return () => camera.stop();
  }, [camera]);

  const keep = async (bytes: Uint8Array<ArrayBuffer>, captureClass: CaptureClass, file?: File) => {
    const fix = visit.position.fix;
    const fresh = fix !== null && captureClass !== "C" && Date.now() - fix.fix_ms < OLDEST_FIX_MS;
    const position = fresh
      ? { lat: fix.lat, lon: fix.lon, acc: fix.acc, fix_ms: fix.fix_ms }
      : undefined;
    const source =
      captureClass === "C" && file !== undefined
        ? { source: { path: file.name, mtime_ms: file.lastModified } }
        : {};
    await visit.field.capture({
      officer,
      inspection: visit.id,
      bytes,
      mediaType: file?.type || (file === undefined ? "image/jpeg" : "application/octet-stream"),
      captureClass,
      name: file?.name ?? `IMG-${new Date().toISOString().slice(0, 19).replace(/\D/g, "")}.jpg`,
      title: title.value.trim().normalize("NFC"),
      factToProve: fact.value.trim().normalize("NFC"),
      ...(step.value === "" ? {} : { step: step.value }),
      position,
      ...source,
    });
    saved.value = [clock(Date.now()), ...saved.value];
    await visit.reload();
  };
  const shoot = (): void => void work.run(async () => keep(await camera.take(), "A"));
  const takeIn = (files: FileList | null, captureClass: CaptureClass): void =>
    void work.run(async () => {
      for (const file of files ?? []) {
        await keep(new Uint8Array(await file.arrayBuffer()), captureClass, file);
      }
    });

  return (
    <Page title={say("field.capture.title")} back={visit.path()}>
      <div class="finder" ref={place} />
      <Failed text={starting.failure.value} />
      <button type="button" class="main shutter" disabled={work.busy.value} onClick={shoot}>
        {say(work.busy.value ? "field.capture.saving" : "field.capture.shoot")}
      </button>
      <Failed text={work.failure.value} />
      <p class="fate good" role="status">
        {saved.value.length > 0 && (
          <>
            <Icon name="check" />
            {say("field.capture.saved", { count: saved.value.length, time: saved.value[0] ?? "" })}
          </>
        )}
      </p>
      <fieldset class="card">
        <legend>{say("field.capture.about")}</legend>
        <label>
          {say("field.capture.caption")}
          <input value={title.value} maxLength={200} onInput={(event) => (title.value = event.currentTarget.value)} />
        </label>
        <label>
          {say("field.capture.fact")}
          <input value={fact.value} maxLength={500} onInput={(event) => (fact.value = event.currentTarget.value)} />
          <small>{say("field.capture.fact.hint")}</small>
        </label>
        <label>
          {say("field.capture.step")}
          <select value={step.value} onChange={(event) => (step.value = event.currentTarget.value)}>
            <option value="">{say("field.capture.step.none")}</option>
            {STEPS.map((one) => (
              <option key={one} value={one}>
                {say(`field.step.${one}`)}
              </option>
            ))}
          </select>
        </label>
      </fieldset>
      <Lanes {...props} busy={work.busy.value} takeIn={takeIn} />
    </Page>
  );
}

function Lanes(
  props: ScreenProps & {
    readonly busy: boolean;
    readonly takeIn: (files: FileList | null, captureClass: CaptureClass) => void;
  },
) {
  const { visit, busy, takeIn } = props;
  const system = useRef<HTMLInputElement>(null);
  const files = useRef<HTMLInputElement>(null);
  const { failure, run } = useWork();
  const open = (): void =>
    void run(async () => {
      // The phone may end this page while its camera is open: what was begun stands signed.
      await visit.say("camera.opened", {});
      system.current?.click();
    });
  return (
    <details class="card">
      <summary>{say("field.capture.other")}</summary>
      <Notice tone="plain">{say("field.capture.other.hint")}</Notice>
      <button type="button" disabled={busy} onClick={open}>
        {say("field.capture.system")}
      </button>
      <button type="button" disabled={busy} onClick={() => files.current?.click()}>
        {say("field.capture.import")}
      </button>
      <Failed text={failure.value} />
      <input
        ref={system}
        hidden
        type="file"
        accept="image/*"
        capture="environment"
        data-lane="system"
        onChange={(event) => takeIn(event.currentTarget.files, "B")}
      />
      <input
        ref={files}
        hidden
        multiple
        type="file"
        accept="image/*,video/*,audio/*,application/pdf"
        data-lane="import"
        onChange={(event) => takeIn(event.currentTarget.files, "C")}
      />
    </details>
  );
}
