// How things stand: what exists only here, each item's fate, and what stands in the way.
import { useSignal } from "@preact/signals";
import { FAILURE_CODES, type FailureCode } from "../engine/failures";
import type { Field, ItemView } from "../engine/field";
import { freeCopies, type Freed } from "../engine/freeing";
import type { AlarmRow } from "../engine/schema";
import type { SyncReport } from "../engine/sync";
import type { Trouble } from "../engine/troubles";
import type { Visit } from "../engine/visits";
import { ownVisits, progress, refresh, report, sayError, status, syncing, syncNow } from "../state";
import { say, sayFailure, type TextKey } from "../texts";
import { bytes, moment } from "./documents";
import { Failed, Icon, Notice, Page, useRead, useWork, type IconName } from "./parts";

const FATES: Readonly<Record<ItemView["fate"], readonly [IconName, TextKey]>> = {
  "only-here": ["only", "field.fate.only_here"],
  sending: ["sending", "field.fate.sending"],
  safe: ["check", "field.fate.safe"],
};
/** What may cost evidence if nobody acts. */
const GRAVE: ReadonlySet<FailureCode> = new Set([
  "journal.lost",
  "journal.forked",
  "vault.damaged",
  "device.revoked",
]);
const AT_FIRST = 100;

export function StatusScreen(props: { readonly field: Field }) {
  const { field } = props;
  const now = status.value;
  const alarms = useRead(() => field.alarms(), [now]);
  const troubles = useRead(() => field.troubles(), [now]);
  return (
    <Page title={say("field.status.title")}>
      {now !== null && (
        <Notice tone={now.itemsOnlyHere + now.linesOnlyHere === 0 ? "good" : "warning"}>
          {now.itemsOnlyHere + now.linesOnlyHere === 0
            ? say("field.status.all_safe")
            : say("field.status.only_here", {
                items: now.itemsOnlyHere,
                lines: now.linesOnlyHere,
                size: bytes(now.bytesOnlyHere),
              })}
        </Notice>
      )}
      <button
        type="button"
        class="main"
        disabled={syncing.value}
        onClick={() => void syncNow(field)}
      >
        {say(syncing.value ? "field.sync.running" : "field.sync.now")}
      </button>
      <Sending />
      <p class="quiet">
        {now !== null && now.lastSyncMs > 0
          ? say("field.status.last", { time: moment(now.lastSyncMs) })
          : say("field.status.never")}
      </p>
      {alarms?.map((alarm) => (
        <Alarm key={`${alarm.kept} ${alarm.got}`} field={field} alarm={alarm} />
      ))}
      {troubles?.map((one) => (
        <InTheWay key={one.code} trouble={one} />
      ))}
      {report.value !== null && <Report of={report.value} />}
      <h2>{say("field.status.visits")}</h2>
      {ownVisits.value.length === 0 && <p>{say("field.status.no_visits")}</p>}
      {ownVisits.value.map((visit) => (
        <Items key={visit.inspection} field={field} visit={visit} />
      ))}
      <Room field={field} />
    </Page>
  );
}

function Sending() {
  const at = progress.value;
  if (at === null) return null;
  return (
    <label>
      {say("field.status.sending", { sent: bytes(at.offset), size: bytes(at.size) })}
      <progress value={at.offset} max={Math.max(1, at.size)} />
    </label>
  );
}

/** What the last sync met, each with its next step; all well where it met nothing. */
function Report(props: { readonly of: SyncReport }) {
  const { problems, stuck, standing, offset } = props.of;
  const well = problems.length + stuck.length === 0 && standing === "active";
  return (
    <section aria-live="polite">
      {well && <Notice tone="good">{say("field.status.well")}</Notice>}
      {standing === "wipe" && <Notice tone="alarm">{say("field.standing.wipe")}</Notice>}
      {problems.map((problem, place) => (
        <Notice key={place} tone={problem.code.startsWith("trust.") ? "alarm" : "warning"}>
          {sayError(problem)}
        </Notice>
      ))}
      {stuck.map((line) => (
        <Notice key={`${line.epoch} ${line.seq}`} tone="alarm">
          {say("field.status.stuck", { seq: line.seq, code: line.code })}
        </Notice>
      ))}
      {offset !== null && (
        <p class="quiet">
          {say(offset.offsetMs < 0 ? "field.status.clock.behind" : "field.status.clock.ahead", {
            offset: (Math.abs(offset.offsetMs) / 1000).toFixed(1),
            error: (offset.errorMs / 1000).toFixed(1),
          })}
        </p>
      )}
    </section>
  );
}

/** The alarms, which have a notice of their own, are told there. */
function InTheWay(props: { readonly trouble: Trouble }) {
  const { code, count, detail } = props.trouble;
  if (code === "trust.ledger_forked") return null;
  return (
    <Notice tone={GRAVE.has(code) ? "alarm" : "warning"}>
      <p>{sayFailure(code)}</p>
      <small class="code">
        {say("field.status.trouble", { code, count })}
        {detail !== "" && <br />}
        {detail}
      </small>
    </Notice>
  );
}

/** Two notes of the server's that contradict each other: the proof is shown whole. */
function Alarm(props: { readonly field: Field; readonly alarm: AlarmRow }) {
  const { field, alarm } = props;
  const give = async (): Promise<void> => {
    const address = URL.createObjectURL(new Blob([await field.alarmFile(alarm)]));
    const link = document.createElement("a");
    link.href = address;
    link.download = `liuhen-fork-${alarm.atMs}.json`;
    link.click();
    URL.revokeObjectURL(address);
  };
  return (
    <Notice tone="alarm" alert>
      <p>
        <b>{say("field.alarm.title")}</b> {moment(alarm.atMs)}
      </p>
      <p>{say("field.alarm.next")}</p>
      <button type="button" onClick={() => void give()}>
        {say("field.alarm.save")}
      </button>
      <details>
        <summary>{say("field.alarm.proof")}</summary>
        <pre tabIndex={0}>{`${alarm.kept}\n${alarm.got}\n${alarm.reason}`}</pre>
      </details>
    </Notice>
  );
}

function Items(props: { readonly field: Field; readonly visit: Visit }) {
  const { field, visit } = props;
  const most = useSignal(AT_FIRST);
  const items = useRead(() => field.items(visit.inspection), [status.value, progress.value]);
  const open = items?.filter((item) => item.fate !== "safe").length ?? 0;
  return (
    <details class="card">
      <summary>
        <b>{visit.title || say("field.visit.untitled")}</b>
        <small>{moment(visit.openedAtMs)}</small>
        <Fate icon={open === 0 ? "check" : "only"}>
          {say(open === 0 ? "field.visit.all_safe" : "field.visit.some_here", {
            open,
            count: items?.length ?? 0,
          })}
        </Fate>
      </summary>
      <ul class="plain">
        {items?.slice(0, most.value).map((item) => (
          <Item key={item.item} item={item} />
        ))}
      </ul>
      {(items?.length ?? 0) > most.value && (
        <button type="button" onClick={() => (most.value += AT_FIRST)}>
          {say("field.more")}
        </button>
      )}
    </details>
  );
}

function Item(props: { readonly item: ItemView }) {
  const { item } = props;
  const [icon, text] = FATES[item.fate];
  return (
    <li class="item">
      <span>{item.title || item.name || item.mediaType}</span>
      <small>
        {moment(item.takenAtMs)} {bytes(item.size)}
      </small>
      <Fate icon={icon}>
        {say(text)}
        {item.fate === "sending" && ` ${bytes(item.sentBytes)} / ${bytes(item.size)}`}
        {item.freedAtMs !== undefined && ` ${say("field.fate.freed")}`}
      </Fate>
      {item.problem !== "" && <Notice tone="warning">{sayProblem(item.problem)}</Notice>}
    </li>
  );
}

function Fate(props: { readonly icon: IconName; readonly children: preact.ComponentChildren }) {
  const tone = props.icon === "check" ? "good" : props.icon === "only" ? "poor" : "";
  return (
    <span class={`fate ${tone}`}>
      <Icon name={props.icon} />
      <span>{props.children}</span>
    </span>
  );
}

/** Codes of this app have a sentence; one of the server's is told with what to do about it. */
function sayProblem(problem: string): string {
  const known = FAILURE_CODES.find((code): code is FailureCode => code === problem);
  return known === undefined ? say("field.status.refused", { code: problem }) : sayFailure(known);
}

/** Local copies go when the user says so, and only what the server proves to have. */
function Room(props: { readonly field: Field }) {
  const { field } = props;
  const found = useSignal<Freed | null>(null);
  const freed = useSignal<Freed | null>(null);
  const { busy, failure, run } = useWork();
  const free = (really: boolean): void => {
    void run(async () => {
      const done = await freeCopies(field.database, { beforeMs: Infinity, really });
      found.value = really ? null : done;
      freed.value = really ? done : null;
      await refresh(field);
    });
  };
  const may = found.value;
  return (
    <section class="card">
      <h2>{say("field.room.title")}</h2>
      <p>{say("field.room.intro")}</p>
      <div aria-live="polite">
        {may !== null && <p>{say("field.room.may", { count: may.items, size: bytes(may.bytes) })}</p>}
        {freed.value !== null && (
          <p>{say("field.room.freed", { count: freed.value.items, size: bytes(freed.value.bytes) })}</p>
        )}
      </div>
      <Failed text={failure.value} />
      {may !== null && may.items > 0 ? (
        <button type="button" disabled={busy.value} onClick={() => free(true)}>
          {say("field.room.do", { count: may.items })}
        </button>
      ) : (
        <button type="button" disabled={busy.value} onClick={() => free(false)}>
          {say(busy.value ? "field.working" : "field.room.look")}
        </button>
      )}
    </section>
  );
}
