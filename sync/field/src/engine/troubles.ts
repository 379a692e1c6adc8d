// What is in the way on this phone, the most pressing first, each with a code that has a sentence
// and a next step: nothing stays here without one.
import { isObject } from "../evidence/canonical";
import { EvidenceError } from "../evidence/errors";
import { parseLine } from "../evidence/line";
import type { FailureCode } from "./failures";
import type { Database } from "./idb";
import { getMeta } from "./meta";
import type { LineRow, LineState } from "./schema";
import { backwardSteps, type ClockStep, type Moment } from "./steps";

/** `detail` is for people who look closely. */
export interface Trouble {
  readonly code: FailureCode;
  readonly count: number;
  readonly detail: string;
}

/** No phone that runs this app was right before. */
const NOT_BEFORE_MS = Date.UTC(2025, 0, 1);
/** Nor is one right that is so far ahead. */
const NOT_AFTER_MS = Date.UTC(2100, 0, 1);

/** Whether the clock shows a time that cannot be: a battery that went empty, a date set wrong. */
export function isImplausible(wallMs: number): boolean {
  return wallMs < NOT_BEFORE_MS || wallMs > NOT_AFTER_MS;
}

export async function troubles(database: Database, nowMs: number): Promise<Trouble[]> {
  const found = await database.read(
    ["meta", "lines", "uploads", "alarms", "epochs"],
    async (tx) => ({
      wiped: (await getMeta(tx, "wiped")) !== undefined,
      enrolled: (await getMeta(tx, "enrolment")) !== undefined,
      standing: await getMeta(tx, "standing"),
      stuck: (await getMeta(tx, "stuck")) ?? [],
      alarms: await tx.all("alarms"),
      lines: await tx.all("lines"),
      epochs: await tx.by("epochs", "order"),
      uploads: await tx.all("uploads"),
    }),
  );
  if (found.wiped && !found.enrolled) return [{ code: "device.wiped", count: 1, detail: "" }];
  const { lines, uploads } = found;
  const inState = (...states: readonly LineState[]) =>
    lines.filter((line) => states.includes(line.state));
  const damaged = uploads.filter((one) => one.problem === "vault.damaged");
  const failed = uploads.filter((one) => one.problem !== "" && one.problem !== "vault.damaged");
  const open = lines.filter((line) => line.state === "safe" && (line.decision ?? "") === "");
  const steps = await clockSteps(lines, found.epochs.map((one) => one.epoch));
  const revoked = found.standing === "revoked" || found.standing === "wipe";
  return [
    trouble("trust.ledger_forked", found.alarms.map((one) => one.reason)),
    trouble("device.revoked", revoked ? [found.standing] : []),
    trouble("journal.stuck", found.stuck),
    trouble("journal.lost", inState("lost").map(placeOf)),
    trouble("vault.damaged", damaged.map((one) => one.sha256.slice(0, 12))),
    trouble("clock.implausible", isImplausible(nowMs) ? [new Date(nowMs).toISOString()] : []),
    trouble("journal.refused", inState("refused", "stranded").map(placeOf)),
    trouble("media.refused", failed.map((one) => one.problem)),
    trouble("clock.set_back", steps.map((one) => `${one.seq}: ${Math.round(one.byMs)} ms`)),
    trouble("journal.forked", open.filter((one) => one.journal === "forked").map(placeOf)),
    trouble(
      "journal.quarantined",
      open
        .filter((one) => one.projection === "quarantined" && one.journal !== "forked")
        .map((one) => one.code),
    ),
  ].filter((one) => one.count > 0);
}

/** Every backward step of this phone's clock that its own journal gives away. */
export async function clockSteps(
  lines: readonly LineRow[],
  epochs: readonly string[],
): Promise<ClockStep[]> {
  const order = new Map(epochs.map((epoch, place) => [epoch, place]));
  const sorted = [...lines].sort(
    (a, b) => (order.get(a.epoch) ?? 0) - (order.get(b.epoch) ?? 0) || a.seq - b.seq,
  );
  const moments = await Promise.all(sorted.map(momentOf));
  return backwardSteps(moments.filter((one) => one !== null));
}

/** The clocks of a line; null where it went bad on the disk. */
async function momentOf(row: LineRow): Promise<Moment | null> {
  const { epoch, seq } = row;
  if (row.type !== "clock.compared") {
    const t = timeIn(row);
    return t === null ? null : { epoch, seq, t };
  }
  try {
    const { act, header } = await parseLine(row.raw);
    const { offset_ms: offsetMs, error_ms: errorMs } = act;
    const told = typeof offsetMs === "number" && typeof errorMs === "number";
    return { epoch, seq, t: header.t, ...(told ? { compared: { offsetMs, errorMs } } : {}) };
  } catch (error) {
    if (error instanceof EvidenceError) return null;
    throw error;
  }
}

/** Quicker than to verify all digests, which nothing here depends on. */
function timeIn({ raw }: LineRow): Moment["t"] | null {
  try {
    const line: unknown = JSON.parse(new TextDecoder().decode(raw));
    const header = isObject(line) ? line["e"] : undefined;
    const t = isObject(header) ? header["t"] : undefined;
    if (!isObject(t) || typeof t["wall_ms"] !== "number" || typeof t["mono_ms"] !== "number") {
      return null;
    }
    return t as unknown as Moment["t"];
  } catch {
    return null;
  }
}

function trouble(code: FailureCode, details: readonly (string | undefined)[]): Trouble {
  return { code, count: details.length, detail: details.slice(0, 3).join(", ") };
}

function placeOf(line: LineRow): string {
  return `${line.epoch.slice(0, 8)}/${line.seq} ${line.code}`.trim();
}
