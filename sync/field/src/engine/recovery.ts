// Going on after a refused or forked line: a new chain that names it, and says again what was lost.
//
// A line can only be sent in its place, so whatever was signed behind a refused one has no way to
// the server. Its act is signed again in the new chain with the old line's bytes beside it, so that
// the first signing stays provable (docs/protocol.md §4.1). Every step may be repeated after a kill.
import { toBase64 } from "../evidence/bytes";
import type { Json, JsonObject } from "../evidence/canonical";
import { EvidenceError } from "../evidence/errors";
import { parseLine, type Act, type Part } from "../evidence/line";
import { Failure } from "./failures";
import type { Database, Transaction } from "./idb";
import { continuing, type Journal } from "./journal";
import { getMeta, type SessionRow } from "./meta";
import type { StuckLine } from "./push";
import type { EpochRow, LineRow, LineState } from "./schema";

/** Acts that only make sense where they stood; sessions are carried over on their own. */
const BOUND_TO_PLACE = new Set([
  "epoch.opened",
  "session.opened",
  "session.closed",
  "clock.compared",
  "anchor.seen",
]);
/** How many places a new chain's first line names. */
const NAMED = 100;

export class Recovery {
  constructor(
    private readonly database: Database,
    private readonly journal: Journal,
  ) {}

  /** Note that `refused` and the lines behind it have no place, and leave its chain at once. */
  async leave(refused: StuckLine): Promise<void> {
    const { epoch, seq, code } = refused;
    const mark = async (tx: Transaction): Promise<void> => {
      for (const line of await tx.all("lines", behind(epoch, seq))) {
        const state: LineState = line.seq === seq ? "refused" : "stranded";
        const more = state === "refused" ? { journal: "refused", code } : {};
        tx.put("lines", { ...line, state, ...more });
      }
    };
    const { newest, line, before } = await this.database.read(["epochs", "lines"], async (tx) => ({
      newest: await tx.last("epochs", "order"),
      line: await tx.get("lines", [epoch, seq]),
      before: await tx.get("lines", [epoch, seq - 1]),
    }));
    if (newest?.epoch !== epoch || line === undefined) {
      await this.database.write(["lines"], mark);
      return;
    }
    // What is captured meanwhile goes into the old chain until the very moment of the new one.
    const named = [{ seq, digest: line.digest, code }];
    await this.journal.openEpoch("refused", { refused: named, ...ending(before) }, mark);
  }

  /** Say again what waits for it, and leave a chain that forked; whether anything was written. */
  async goOn(): Promise<boolean> {
    const left = await this.leaveForked();
    const waiting = await this.database.read(["epochs", "lines"], async (tx) => {
      const lines = [...(await byState(tx, "refused")), ...(await byState(tx, "stranded"))];
      const epochs = new Map((await tx.all("epochs")).map((one) => [one.epoch, one.order]));
      const place = (line: LineRow) => (epochs.get(line.epoch) ?? 0) * 2 ** 32 + line.seq;
      return lines.sort((a, b) => place(a) - place(b));
    });
    const guests: SessionRow[] = [];
    for (const line of waiting) await this.restate(line, guests);
    for (const { officer, session } of guests) {
      await this.journal.append({ type: "session.closed", officer, session });
    }
    return left || waiting.length > 0;
  }

  /** Go on in a chain of its own, so that the chains to come lie in one generation whole. */
  async leaveForNewGeneration(): Promise<void> {
    const newest = await this.database.read(["epochs"], (tx) => tx.last("epochs", "order"));
    if (newest === undefined) throw new Failure("journal.not_enrolled");
    await this.journal.openEpoch("restored", { before: headOf(newest) });
  }

  private async leaveForked(): Promise<boolean> {
    const found = await this.database.read(["epochs", "lines"], async (tx) => {
      const newest = await tx.last("epochs", "order");
      if (newest === undefined) return null;
      const lines = await tx.all("lines", behind(newest.epoch, 0));
      const forked = lines.filter((line) => line.journal === "forked");
      const [first] = forked;
      return first === undefined
        ? null
        : { forked, before: lines.find((line) => line.seq === first.seq - 1) };
    });
    if (found === null) return false;
    const { forked, before } = found;
    const named = forked.slice(0, NAMED).map(({ seq, digest, code }) => ({ seq, digest, code }));
    await this.journal.openEpoch("forked", { forked: named, ...ending(before) });
    return true;
  }

  private async restate(line: LineRow, guests: SessionRow[]): Promise<void> {
    if (BOUND_TO_PLACE.has(line.type)) return this.settle(line, "restated");
    const said = await partsOf(line);
    if (said === null) return this.mend(line, guests);
    // What was said again once and refused once more would be refused for ever.
    if (Object.hasOwn(said[0], "restates")) return this.settle(line, "lost");
    const [act, ...further] = said;
    await this.admit(act["officer"], line.epoch, guests);
    const old = { epoch: line.epoch, seq: line.seq, digest: line.digest };
    const whole = { ...old, line_b64: toBase64(line.raw) };
    const referring = await this.referring(act);
    for (const restates of [whole, old]) {
      if (await this.write({ ...referring, restates }, further, line)) return;
    }
    await this.settle(line, "lost");
  }

  /** The line went bad on the disk: the file that it announced is announced by what is left. */
  private async mend(line: LineRow, guests: SessionRow[]): Promise<void> {
    const { items, lines } = await this.database.read(["items", "lines"], async (tx) => ({
      items: await tx.by("items", "inspection", line.inspection),
      lines: await tx.by("lines", "inspection", line.inspection),
    }));
    const item = items.find((one) => one.epoch === line.epoch && one.seq === line.seq);
    let officer: Json | undefined;
    for (const other of item === undefined ? [] : lines) {
      officer ??= (await partsOf(other))?.[0]["officer"];
    }
    if (item === undefined || officer === undefined) return this.settle(line, "lost");
    await this.admit(officer, line.epoch, guests);
    const act: Act = {
      type: "media.captured",
      officer,
      inspection: item.inspection,
      item: item.item,
      sha256: item.sha256,
      size: item.size,
      media_type: item.mediaType,
      class: item.captureClass,
      ...(item.name === "" ? {} : { name: item.name }),
      ...(item.title === "" ? {} : { title: item.title }),
      ...(item.recording === undefined ? {} : { recording: item.recording }),
      restates: { epoch: line.epoch, seq: line.seq, digest: line.digest },
    };
    if (!(await this.write(act, [], line))) await this.settle(line, "lost");
  }

  /** Whether the act fitted into a line. */
  private async write(act: Act, further: readonly Part[], old: LineRow): Promise<boolean> {
    try {
      await this.journal.append(act, further, {
        stores: ["lines", "items"],
        write: async (tx, line) => {
          tx.put("lines", { ...old, state: "restated", restatedBy: line.digest });
          const { epoch, seq } = line.header;
          for (const item of await tx.by("items", "inspection", old.inspection)) {
            const announced = item.epoch === old.epoch && item.seq === old.seq;
            if (announced) tx.put("items", { ...item, epoch, seq });
          }
        },
      });
      return true;
    } catch (error) {
      if (error instanceof EvidenceError && error.code === "journal.line_too_long") return false;
      throw error;
    }
  }

  private async settle(line: LineRow, state: LineState): Promise<void> {
    await this.database.write(["lines"], async (tx) => tx.put("lines", { ...line, state }));
  }

  /** `act` with restated lines named by the lines that stand for them now. */
  private async referring(act: Act): Promise<Act> {
    const restated = await this.database.read(["lines"], (tx) => byState(tx, "restated"));
    const named = new Map(restated.map((line) => [line.digest, line.restatedBy ?? ""]));
    const now = (digest: Json): Json =>
      (typeof digest === "string" ? named.get(digest) : undefined) || digest;
    const changed: Record<string, Json> = {};
    for (const name of ["base", "revisions"]) {
      const list = act[name];
      if (Array.isArray(list)) changed[name] = (list as readonly Json[]).map(now);
    }
    if (act["chosen"] !== undefined) changed["chosen"] = now(act["chosen"]);
    return { ...act, ...changed };
  }

  /** See that the act's officer has a session in this chain, if only for the restating. */
  private async admit(officer: unknown, epoch: string, guests: SessionRow[]): Promise<void> {
    if (typeof officer !== "string") return;
    const { open, lines } = await this.database.read(["meta", "lines"], async (tx) => ({
      open: (await getMeta(tx, "sessions")) ?? [],
      lines: await tx.all("lines", behind(epoch, 0)),
    }));
    if ([...open, ...guests].some((one) => one.officer === officer)) return;
    for (const line of lines.reverse()) {
      if (line.type !== "session.opened") continue;
      const [act] = (await partsOf(line)) ?? [];
      if (act?.["officer"] !== officer) continue;
      const session = crypto.randomUUID();
      const old = {
        officer,
        session: String(act["session"]),
        certificateNo: String(act["certificate_no"]),
        method: String(act["method"]),
      };
      await this.journal.append(continuing(old, session, epoch));
      guests.push({ ...old, session });
      return;
    }
  }
}

function behind(epoch: string, seq: number): IDBKeyRange {
  return IDBKeyRange.bound([epoch, seq], [epoch, Infinity]);
}

function byState(tx: Transaction, state: LineState): Promise<LineRow[]> {
  return tx.by("lines", "state", IDBKeyRange.bound([state], [state, []]));
}

function headOf({ epoch, nextSeq, head }: EpochRow): JsonObject {
  return { epoch, seq: nextSeq - 1, head };
}

function ending(before: LineRow | undefined): JsonObject {
  if (before === undefined) return {};
  return { before: { epoch: before.epoch, seq: before.seq, head: before.digest } };
}

/** The act of a line and its further parts, without their salts; null if it is unreadable. */
async function partsOf(line: LineRow): Promise<[Act, ...Part[]] | null> {
  try {
    const { parts } = await parseLine(line.raw);
    const [act, ...further] = parts.map(({ salt: _, ...part }) => part);
    return act === undefined ? null : [act as Act, ...further];
  } catch (error) {
    if (error instanceof EvidenceError) return null;
    throw error;
  }
}
