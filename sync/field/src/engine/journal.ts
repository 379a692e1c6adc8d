// The journal: the only writer of lines. What it answers is on the disk, read back and compared.
import { randomHex, same, toBase64url } from "../evidence/bytes";
import type { JsonObject } from "../evidence/canonical";
import { anchorOf, parseCheckpoint } from "../evidence/checkpoint";
import { START, type Head } from "../evidence/chain";
import { buildLine, type Act, type Anchor, type Line, type Part } from "../evidence/line";
import { parseNote } from "../evidence/note";
import type { DeviceKey } from "../evidence/p256";
import type { Clock } from "./clock";
import { Failure, isFailure } from "./failures";
import type { Database, Transaction } from "./idb";
import { getMeta, putMeta, type Enrolment, type SessionRow } from "./meta";
import type { EpochRow, LineRow, StoreName } from "./schema";

const LOCK = "liuhen-journal";
/** Another tab wrote in between: build the line again behind its line. */
const TRIES = 5;
const STORES: readonly StoreName[] = ["meta", "epochs", "lines"];

/** What is written with a line, all or nothing; only IndexedDB may be awaited in it. */
export interface Beside {
  readonly stores: readonly StoreName[];
  write(transaction: Transaction, line: Line, order: number): void | Promise<void>;
}

interface Standing {
  readonly device: string;
  readonly key: DeviceKey;
  readonly epoch: EpochRow;
  readonly anchor: Anchor | undefined;
}

export class Journal {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /** Become a device: what is pinned and the first line of its chain, all or nothing. */
  async begin(enrolment: Enrolment, key: DeviceKey, checkpoint: string): Promise<Line> {
    return exclusively(async () =>
      this.startEpoch(enrolment.device, key, anchorIn(checkpoint), { reason: "enrolled" }, (tx) => {
        putMeta(tx, "enrolment", enrolment);
        putMeta(tx, "key", key);
        putMeta(tx, "checkpoint", checkpoint);
        tx.delete("meta", "enrolling");
      }),
    );
  }

  /**
   * Go on in a further chain, with the key that this device has and with everyone who is logged
   * in: the new chain, their sessions and what stands beside it are there together, or not at all.
   */
  async openEpoch(
    reason: string,
    more: JsonObject = {},
    beside: (transaction: Transaction) => void | Promise<void> = () => undefined,
  ): Promise<Line> {
    return exclusively(async () => {
      const { device, key, anchor, epoch } = await this.database.read(STORES, standingOf);
      const open = await this.database.read(["meta"], (tx) => getMeta(tx, "sessions"));
      const going = (open ?? []).map((old) => ({ old, session: crypto.randomUUID() }));
      const acts = going.map(({ old, session }) => continuing(old, session, epoch.epoch));
      return this.startEpoch(
        device,
        key,
        anchor,
        { ...more, reason },
        async (tx) => {
          putMeta(tx, "sessions", going.map(({ old, session }) => ({ ...old, session })));
          await beside(tx);
        },
        acts,
      );
    });
  }

  private async startEpoch(
    device: string,
    key: DeviceKey,
    anchor: Anchor | undefined,
    members: JsonObject,
    beside: (transaction: Transaction) => void | Promise<void>,
    further: readonly Act[] = [],
  ): Promise<Line> {
    const epoch = randomHex(16);
    const first = { ...members, type: "epoch.opened", spki: toBase64url(key.spki) };
    const lines: Line[] = [];
    let head: Head = START;
    for (const act of [first, ...further]) {
      const place = { device, epoch, ...head };
      const line = await buildLine([act], place, this.clock.read(), key, anchor);
      lines.push(line);
      head = { seq: head.seq + 1, prev: line.digest };
    }
    await this.database.write(STORES, async (tx) => {
      const last = await tx.last("epochs", "order");
      const order = last === undefined ? 0 : last.order + 1;
      tx.add("epochs", { epoch, order, keyId: key.keyId, nextSeq: head.seq, head: head.prev });
      for (const line of lines) tx.add("lines", rowOf(line));
      await beside(tx);
    });
    for (const line of lines) await this.readBack(line);
    const [opened] = lines;
    if (opened === undefined) throw new Failure("storage.unconfirmed", "no line");
    return opened;
  }

  /** Sign `act` (and further parts) as the next line, with what stands `beside` it. */
  async append(act: Act, further: readonly Part[] = [], beside?: Beside): Promise<Line> {
    return exclusively(async () => {
      for (let attempt = 1; attempt <= TRIES; attempt++) {
        const standing = await this.database.read(STORES, standingOf);
        const { device, key, epoch, anchor } = standing;
        const place = { device, epoch: epoch.epoch, seq: epoch.nextSeq, prev: epoch.head };
        const line = await buildLine([act, ...further], place, this.clock.read(), key, anchor);
        if (await this.keepSurely(line, epoch, beside)) {
          await this.readBack(line);
          return line;
        }
      }
      throw new Failure("journal.busy");
    });
  }

  /** Like `keep`, also where the connection is lost in between: then look what became of it. */
  private async keepSurely(
    line: Line,
    epoch: EpochRow,
    beside: Beside | undefined,
  ): Promise<boolean> {
    try {
      return await this.keep(line, epoch, beside);
    } catch (error) {
      if (!isFailure(error, "storage.lost")) throw error;
      const { epoch: chain, seq } = line.header;
      const there = await this.database.read(["lines"], (tx) => tx.get("lines", [chain, seq]));
      return there?.digest === line.digest || this.keep(line, epoch, beside);
    }
  }

  /** Everything in one strict transaction, unless another line has taken the place. */
  private async keep(line: Line, epoch: EpochRow, beside: Beside | undefined): Promise<boolean> {
    const stores = [...new Set([...STORES, ...(beside?.stores ?? [])])];
    return this.database.write(stores, async (tx) => {
      const now = await tx.get("epochs", epoch.epoch);
      const newest = await tx.last("epochs", "order");
      if (now?.nextSeq !== epoch.nextSeq || newest?.epoch !== epoch.epoch) return false;
      tx.put("epochs", { ...now, nextSeq: now.nextSeq + 1, head: line.digest });
      tx.add("lines", rowOf(line));
      // Oldest first, whatever the clock said: by epoch and place in it.
      await beside?.write(tx, line, epoch.order * 2 ** 32 + line.header.seq);
      return true;
    });
  }

  private async readBack(line: Line): Promise<void> {
    const { epoch, seq } = line.header;
    const row = await this.database.read(["lines"], (tx) => tx.get("lines", [epoch, seq]));
    if (row === undefined || !same(row.raw, line.raw)) {
      throw new Failure("storage.unconfirmed", `line ${seq}`);
    }
  }
}

async function standingOf(tx: Transaction): Promise<Standing> {
  const enrolment = await getMeta(tx, "enrolment");
  const key = await getMeta(tx, "key");
  const epoch = await tx.last("epochs", "order");
  if (enrolment === undefined || key === undefined || epoch === undefined) {
    throw new Failure("journal.not_enrolled");
  }
  return { device: enrolment.device, key, epoch, anchor: await newestAnchor(tx) };
}

async function newestAnchor(tx: Transaction): Promise<Anchor | undefined> {
  return anchorIn((await getMeta(tx, "checkpoint")) ?? "");
}

function anchorIn(checkpoint: string): Anchor | undefined {
  return checkpoint === "" ? undefined : anchorOf(parseCheckpoint(parseNote(checkpoint).text));
}

function rowOf(line: Line): LineRow {
  const { inspection } = line.act;
  return {
    epoch: line.header.epoch,
    seq: line.header.seq,
    digest: line.digest,
    raw: line.raw,
    type: line.act.type,
    inspection: typeof inspection === "string" ? inspection : "",
    state: "kept",
    journal: "",
    projection: "",
    code: "",
  };
}

/** The session `old` of the chain `epoch`, as it goes on in another chain. */
export function continuing(old: SessionRow, session: string, epoch: string): Act {
  return {
    type: "session.opened",
    officer: old.officer,
    session,
    method: old.method ?? "pin",
    certificate_no: old.certificateNo,
    continues: { epoch, session: old.session },
  };
}

/** One writer at a time, also where the app is open in two tabs. */
async function exclusively<T>(work: () => Promise<T>): Promise<T> {
  return navigator.locks.request(LOCK, work);
}
