// Sending the journal: lines in order, receipts verified; every call may be repeated.
import { concat, sha256Hex, utf8, type Bytes } from "../evidence/bytes";
import { GENESIS } from "../evidence/line";
import type { Receipt } from "../evidence/receipt";
import type { Api, Hello, LineResult, Pushed } from "./api";
import { Failure, isFailure } from "./failures";
import type { Database } from "./idb";
import type { Enrolment } from "./meta";
import type { EpochRow, LineRow } from "./schema";
import { readReceipt } from "./trust";

/** What a link should carry at once: a cut costs at most this. */
const BATCH_BYTES = 256 << 10;
/** Cuts in a row that brought nothing forward, before this sync leaves it to the next one. */
const CUTS = 4;
const PLACED = new Set(["accepted", "already", "forked"]);

/** A line for which the server has no place: `code` says why; nothing behind it can follow. */
export interface StuckLine {
  readonly epoch: string;
  readonly seq: number;
  readonly code: string;
}

export interface PushReport {
  readonly stuck: readonly StuckLine[];
  /** The newest checkpoint that came back; empty if none did. */
  readonly checkpoint: string;
}

type Noted = readonly [note: string, receipt: Receipt];

export class Pusher {
  private checkpoint = "";
  private cuts = 0;

  constructor(
    private readonly database: Database,
    private readonly api: Api,
    private readonly enrolment: Enrolment,
    private readonly limits: Hello,
  ) {}

  async run(): Promise<PushReport> {
    const epochs = await this.database.read(["epochs"], (tx) => tx.by("epochs", "order"));
    const stuck: StuckLine[] = [];
    for (const epoch of epochs) {
      const at = await this.pushEpoch(epoch);
      if (at !== null) stuck.push(at);
    }
    return { stuck, checkpoint: this.checkpoint };
  }

  private async pushEpoch({ epoch }: EpochRow): Promise<StuckLine | null> {
    this.cuts = 0;
    await this.stand(epoch);
    for (;;) {
      const batch = await this.batch(epoch);
      const [first] = batch;
      if (first === undefined) return null;
      const body = concat(...batch.flatMap((line) => [line.raw, utf8("\n")]));
      const answer = await this.pushOnce(epoch, body);
      if (answer === null) continue;
      const [placed, ending] = await match(batch, answer.results);
      await this.settle(epoch, placed, answer);
      if (ending !== null) return ending;
      if (placed.length === 0) return { epoch, seq: answer.nextSeq, code: "journal.gap" };
    }
  }

  /** Null after a cut: what arrived of it, and what its lost answer said, is known by then. */
  private async pushOnce(epoch: string, body: Bytes): Promise<Pushed | null> {
    try {
      const answer = await this.api.push(epoch, body);
      this.cuts = 0;
      return answer;
    } catch (error) {
      const cut = isFailure(error, "link.unreachable", "link.unavailable");
      if (!cut || ++this.cuts >= CUTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** this.cuts));
      await this.stand(epoch);
      return null;
    }
  }

  /** Ask where the server stands: what it lost is unsent again, what its lost answers said counts. */
  private async stand(epoch: string): Promise<void> {
    let since: number | null = (await this.batch(epoch))[0]?.seq ?? (await this.total(epoch));
    let doubted = false;
    while (since !== null) {
      const chain = await this.api.chain(epoch, since);
      if (!doubted) await this.doubt(epoch, chain.nextSeq, chain.head);
      doubted = true;
      const told = new Map(chain.results.map((one) => [`${one.seq} ${one.digest}`, one]));
      const receipts = await this.read(chain.receipts);
      await this.keep(
        epoch,
        receipts.filter(([, one]) => one.branch !== "" || one.last_seq < chain.nextSeq),
        told,
      );
      since = chain.nextSince;
    }
  }

  private async total(epoch: string): Promise<number> {
    const row = await this.database.read(["epochs"], (tx) => tx.get("epochs", epoch));
    return row?.nextSeq ?? 0;
  }

  /** A server that was put back to a backup lacks lines that it has receipted: send them again. */
  private async doubt(epoch: string, nextSeq: number, head: string): Promise<void> {
    await this.database.write(["lines", "items"], async (tx) => {
      const own = nextSeq === 0 ? undefined : await tx.get("lines", [epoch, nextSeq - 1]);
      if ((own?.digest ?? GENESIS) !== head) return;
      const behind = IDBKeyRange.bound(["safe", epoch, nextSeq], ["safe", epoch, Infinity]);
      for (const line of await tx.by("lines", "state", behind)) {
        tx.put("lines", { ...line, state: "kept" });
      }
      for (const item of await tx.all("items")) {
        if (item.epoch === epoch && item.seq >= nextSeq && item.state === "stored") {
          tx.put("items", { ...item, state: "local" });
        }
      }
    });
  }

  /** The next lines without a receipt, as many as a bad link carries. */
  private async batch(epoch: string): Promise<LineRow[]> {
    const range = IDBKeyRange.bound(["kept", epoch, 0], ["kept", epoch, Infinity]);
    const rows = await this.database.read(["lines"], (tx) =>
      tx.by("lines", "state", range, this.limits.pushLines),
    );
    const most = Math.min(BATCH_BYTES, this.limits.pushBytes);
    let bytes = 0;
    return rows.filter((row, place) => (bytes += row.raw.length + 1) <= most || place === 0);
  }

  private async settle(epoch: string, placed: readonly LineResult[], answer: Pushed) {
    this.checkpoint = answer.checkpoint || this.checkpoint;
    const told = new Map(placed.map((one) => [`${one.seq} ${one.digest}`, one]));
    const receipts = await this.read(answer.receipts);
    const covered = await this.keep(epoch, receipts, told);
    const missing = placed.find((one) => !covered.has(one.seq));
    if (missing !== undefined) {
      throw new Failure("trust.receipt_invalid", `none for line ${missing.seq}`);
    }
  }

  private async read(notes: readonly string[]): Promise<Noted[]> {
    return Promise.all(
      notes.map(async (note): Promise<Noted> => [note, await readReceipt(note, this.enrolment)]),
    );
  }

  /** Count lines as safe that a receipt covers whose last line is ours; the chain binds the rest. */
  private async keep(
    epoch: string,
    receipts: readonly Noted[],
    told: ReadonlyMap<string, LineResult>,
  ): Promise<Set<number>> {
    const covered = new Set<number>();
    await this.database.write(["lines", "receipts"], async (tx) => {
      for (const [note, receipt] of receipts) {
        const { first_seq: firstSeq, last_seq: lastSeq } = receipt;
        const last = await tx.get("lines", [epoch, lastSeq]);
        if (receipt.epoch !== epoch || last?.digest !== receipt.last_digest) continue;
        tx.put("receipts", { note, epoch, firstSeq, lastSeq });
        const range = IDBKeyRange.bound([epoch, firstSeq], [epoch, lastSeq]);
        for (const line of await tx.all("lines", range)) {
          covered.add(line.seq);
          const result = told.get(`${line.seq} ${line.digest}`);
          tx.put("lines", settled(line, result, receipt.branch !== ""));
        }
      }
    });
    return covered;
  }
}

function settled(line: LineRow, result: LineResult | undefined, forked: boolean): LineRow {
  if (result === undefined && line.state === "safe") return line;
  // "already" says nothing of the branch: what was learnt before stays.
  const journal = result?.journal ?? (forked ? "forked" : "accepted");
  return {
    ...line,
    state: "safe",
    journal: journal === "already" ? line.journal || journal : journal,
    projection: result?.projection ?? "applied",
    code: result?.code ?? "",
  };
}

/** Results of lines that have a place, in order; one about anything else is not believed. */
async function match(
  batch: readonly LineRow[],
  results: readonly LineResult[],
): Promise<[placed: LineResult[], ending: StuckLine | null]> {
  const placed: LineResult[] = [];
  for (const [place, result] of results.entries()) {
    const line = batch[place];
    if (line === undefined) throw new Failure("trust.receipt_invalid", "more than was sent");
    if (result.journal === "gap") return [placed, null];
    if (result.journal === "refused") {
      await isOf(line.raw, result.digest);
      return [placed, { epoch: line.epoch, seq: line.seq, code: result.code }];
    }
    const isOurs = result.seq === line.seq && result.digest === line.digest;
    if (!PLACED.has(result.journal) || !isOurs) {
      throw new Failure("trust.receipt_invalid", "an answer about other lines");
    }
    placed.push(result);
  }
  if (results.length === 0) throw new Failure("trust.receipt_invalid", "no line was answered for");
  return [placed, null];
}

async function isOf(raw: Bytes, digest: string): Promise<void> {
  if ((await sha256Hex(raw)) !== digest) {
    throw new Failure("trust.receipt_invalid", "a refusal of other bytes");
  }
}
