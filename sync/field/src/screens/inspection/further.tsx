// What else an inspection needs said: gaps, obstruction, the fellow officer's head, remarks.
import { useSignal, type Signal } from "@preact/signals";
import { Mistyped, parseHead } from "../../evidence/shortcode";
import { say, type TextKey } from "../../texts";
import { Failed, Notice, Page, useRead, useWork } from "../parts";
import { canScan, Scanner } from "../scan";
import type { ScreenProps } from "./index";
import { QrCode } from "./qrcode";
import { acts, clock, minuteOf, msOf, textOf, type Known } from "./visit";

const REASONS = [
  "explosion_proof",
  "classified",
  "privacy",
  "battery",
  "fault",
  "storage",
  "weather",
  "party_request",
  "other",
] as const;

function Text(props: { readonly text: TextKey; readonly value: Signal<string>; readonly required?: boolean }) {
  return (
    <label>
      {say(props.text)}
      <textarea
        rows={3}
        required={props.required === true}
        value={props.value.value}
        onInput={(event) => (props.value.value = event.currentTarget.value)}
      />
    </label>
  );
}

function typed(value: Signal<string>): string {
  return value.value.trim().normalize("NFC");
}

/** When nothing was recorded, and why; proposes the time since the last recording. */
export function GapScreen({ visit, known }: ScreenProps) {
  const from = useSignal(minuteOf(lastRecordedMs(known)));
  const to = useSignal(minuteOf(Date.now() + 59_999));
  const reason = useSignal("");
  const text = useSignal("");
  const { busy, failure, run } = useWork();
  const backwards = useSignal(false);
  const explain = (event: Event): void => {
    event.preventDefault();
    backwards.value = !(msOf(to.value) > msOf(from.value));
    if (backwards.value) return;
    void run(async () => {
      const words = typed(text);
      await visit.say("gap.explained", {
        from_ms: msOf(from.value),
        to_ms: msOf(to.value),
        reason: reason.value,
        ...(words === "" ? {} : { text: words }),
      });
      visit.go(visit.path());
    });
  };
  return (
    <Page title={say("field.gap.title")} back={visit.path()}>
      <p>{say("field.gap.intro")}</p>
      {acts(known, "gap.explained").map(({ act, wallMs }) => (
        <p key={wallMs} class="quiet">
          {clock(Number(act["from_ms"]))}–{clock(Number(act["to_ms"]))}{" "}
          {REASONS.some((one) => one === act["reason"])
            ? say(`field.gap.${act["reason"] as (typeof REASONS)[number]}`)
            : textOf(act["reason"])}
        </p>
      ))}
      <form class="card" onSubmit={explain}>
        <label>
          {say("field.gap.from")}
          <input
            type="datetime-local"
            required
            value={from.value}
            onInput={(event) => (from.value = event.currentTarget.value.slice(0, 16))}
          />
        </label>
        <label>
          {say("field.gap.to")}
          <input
            type="datetime-local"
            required
            value={to.value}
            onInput={(event) => (to.value = event.currentTarget.value.slice(0, 16))}
          />
        </label>
        {backwards.value && <Failed text={say("field.gap.backwards")} />}
        <label>
          {say("field.gap.reason")}
          <select required value={reason.value} onChange={(event) => (reason.value = event.currentTarget.value)}>
            <option value="">{say("field.fields.choose")}</option>
            {REASONS.map((one) => (
              <option key={one} value={one}>
                {say(`field.gap.${one}`)}
              </option>
            ))}
          </select>
        </label>
        <Text text="field.gap.text" value={text} required={reason.value === "other"} />
        <Failed text={failure.value} />
        <button type="submit" class="main" disabled={busy.value}>
          {say("field.gap.do")}
        </button>
      </form>
    </Page>
  );
}

function lastRecordedMs(known: Known): number {
  return acts(known, "recording.stopped").at(-1)?.wallMs ?? known.info.openedAtMs;
}

/** Somebody is in the way: time and place first, words when there is a hand free. */
export function ObstructionScreen({ visit, known }: ScreenProps) {
  const text = useSignal("");
  const { busy, failure, run } = useWork();
  const flag = (words: string): void =>
    void run(async () => {
      const fix = visit.position.fix;
      const recording = visit.field.recordings.running?.row.recording;
      await visit.say("obstruction.flagged", {
        ...(words === "" ? {} : { text: words }),
        ...(fix === null ? {} : { pos: { lat: fix.lat, lon: fix.lon, acc: fix.acc, fix_ms: fix.fix_ms } }),
        ...(recording === undefined ? {} : { recording }),
      });
      text.value = "";
    });
  const flagged = acts(known, "obstruction.flagged");
  return (
    <Page title={say("field.obstruction.title")} back={visit.path()}>
      <Notice tone="alarm">{say("field.obstruction.intro")}</Notice>
      <button type="button" class="main obstruct" disabled={busy.value} onClick={() => flag("")}>
        {say("field.obstruction.do")}
      </button>
      <Failed text={failure.value} />
      <div role="status">
        {flagged.map(({ act, wallMs }) => (
          <p key={wallMs}>
            {say("field.obstruction.done", { time: clock(wallMs) })} {textOf(act["text"])}
          </p>
        ))}
      </div>
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          flag(typed(text));
        }}
      >
        <Text text="field.obstruction.text" value={text} required />
        <button type="submit" disabled={busy.value}>
          {say("field.obstruction.add")}
        </button>
      </form>
    </Page>
  );
}

/** Both phones show their head, and each notes the other's. */
export function PeerScreen({ visit, known }: ScreenProps) {
  const head = useRead(() => visit.field.head(), [known]);
  const code = useSignal("");
  const scanning = useSignal(false);
  const wrong = useSignal("");
  const { busy, failure, run } = useWork();
  const note = (text: string): void => {
    wrong.value = "";
    void run(async () => {
      try {
        const read = parseHead(text);
        await visit.say("peer.head", { ...read });
        code.value = "";
      } catch (error) {
        if (!(error instanceof Mistyped)) throw error;
        wrong.value = say("field.peer.mistyped", { count: error.count, foreign: error.foreign || "—" });
      }
    });
  };
  return (
    <Page title={say("field.peer.title")} back={visit.path()}>
      <p>{say("field.peer.intro")}</p>
      <section class="card">
        <h2>{say("field.peer.own")}</h2>
        {head !== undefined && (
          <>
            <QrCode text={head.scanned} label={say("field.peer.own")} />
            <p class="spelled">{head.typed}</p>
          </>
        )}
      </section>
      <section class="card">
        <h2>{say("field.peer.other")}</h2>
        {acts(known, "peer.head").map(({ act, wallMs }) => (
          <p key={wallMs} class="fate good">
            {say("field.peer.noted", { time: clock(wallMs), seq: Number(act["seq"]) })}
          </p>
        ))}
        {canScan() && !scanning.value && (
          <button type="button" onClick={() => (scanning.value = true)}>
            {say("field.scan.title")}
          </button>
        )}
        {scanning.value && (
          <Scanner
            onFound={(text) => {
              scanning.value = false;
              note(text);
            }}
            onCancel={() => (scanning.value = false)}
          />
        )}
        <form
          onSubmit={(event) => {
            event.preventDefault();
            note(code.value);
          }}
        >
          <label>
            {say("field.peer.code")}
            <input
              required
              autocomplete="off"
              autocapitalize="characters"
              spellcheck={false}
              placeholder="412-7ZK3M-0Q9XT-4B1RD-V8HWC"
              value={code.value}
              onInput={(event) => (code.value = event.currentTarget.value)}
            />
          </label>
          <Failed text={wrong.value || failure.value} />
          <button type="submit" class="main" disabled={busy.value}>
            {say("field.peer.do")}
          </button>
        </form>
      </section>
    </Page>
  );
}

/** A remark; once the inspection is sealed, an addendum. */
export function NoteScreen({ visit, known }: ScreenProps) {
  const text = useSignal("");
  const { busy, failure, run } = useWork();
  const type = known.info.sealed ? "addendum.added" : "note.added";
  const title = say(known.info.sealed ? "field.note.late" : "field.note.title");
  return (
    <Page title={title} back={visit.path()}>
      {[...acts(known, "note.added"), ...acts(known, "addendum.added")].map(({ act, wallMs }) => (
        <p key={wallMs} class="card">
          <small>{clock(wallMs)}</small>
          {textOf(act["text"])}
        </p>
      ))}
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          void run(async () => {
            await visit.say(type, { text: typed(text) });
            text.value = "";
          });
        }}
      >
        <Text text="field.note.text" value={text} required />
        <Failed text={failure.value} />
        <button type="submit" class="main" disabled={busy.value}>
          {say("field.note.do")}
        </button>
      </form>
    </Page>
  );
}
