// The journal: the only writer of lines. What it answers is on the disk, read back and compared.
import { randomHex, same, toBase64url } from "../evidence/bytes";
import type { JsonObject } from "../evidence/canonical";
import { anchorOf, parseCheckpoint } from "../evidence/checkpoint";
import { START } from "../evidence/chain";
import { buildLine, type Act, type Anchor, type Line, type Part } from "../evidence/line";
import { parseNote } from "../evidence/note";
import type { DeviceKey } from "../evidence/p256";
import type { Clock } from "./clock";
import { Failure } from "./failures";
import type { Database, Transaction } from "./idb";
import { getMeta, putMeta, type Enrolment } from "./meta";
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

  /** Go on in a further chain, with the key that this device has. */
  async openEpoch(reason: string, more: JsonObject = {}): Promise<Line> {
    return exclusively(async () => {
      const { device, key, anchor } = await this.database.read(STORES, standingOf);
      return this.startEpoch(device, key, anchor, { ...more, reason });
    });
  }

  private async startEpoch(
    device: string,
    key: DeviceKey,
    anchor: Anchor | undefined,
    members: JsonObject,
    beside: (transaction: Transaction) => void = () => undefined,
  ): Promise<Line> {
    const epoch = randomHex(16);
    const act = { ...members, type: "epoch.opened", spki: toBase64url(key.spki) };
    const place = { device, epoch, ...START };
    const line = await buildLine([act], place, this.clock.read(), key, anchor);
    await this.database.write(STORES, async (tx) => {
      const last = await tx.last("epochs", "order");
      const order = last === undefined ? 0 : last.order + 1;
      tx.add("epochs", { epoch, order, keyId: key.keyId, nextSeq: 1, head: line.digest });
      tx.add("lines", rowOf(line));
      beside(tx);
    });
    await this.readBack(line);
    return line;
  }

  /** Sign `act` (and further parts) as the next line, with what stands `beside` it. */
  async append(act: Act, further: readonly Part[] = [], beside?: Beside): Promise<Line> {
    return exclusively(async () => {
      for (let attempt = 1; attempt <= TRIES; attempt++) {
        const standing = await this.database.read(STORES, standingOf);
        const { device, key, epoch, anchor } = standing;
        const place = { device, epoch: epoch.epoch, seq: epoch.nextSeq, prev: epoch.head };
        const line = await buildLine([act, ...further], place, this.clock.read(), key, anchor);
        if (await this.keep(line, epoch, beside)) {
          await this.readBack(line);
          return line;
        }
      }
      throw new Failure("journal.busy");
    });
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

/** One writer at a time, also where the app is open in two tabs. */
async function exclusively<T>(work: () => Promise<T>): Promise<T> {
  return navigator.locks.request(LOCK, work);
}
