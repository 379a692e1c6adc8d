// Sealing an inspection: one line that lists every revision, medium and journal head known here.
import type { JsonObject } from "../evidence/canonical";
import { EvidenceError } from "../evidence/errors";
import type { Line } from "../evidence/line";
import { Failure } from "./failures";
import type { Database } from "./idb";
import type { Journal } from "./journal";
import { getMeta } from "./meta";
import { partsOf, readRecords, standing } from "./records";

export interface Sealing {
  readonly officer: string;
  readonly inspection: string;
  /** Who confirmed it at this device. */
  readonly officers: readonly string[];
}

/** What a seal would list at this moment. */
export interface SealList {
  readonly revisions: readonly string[];
  readonly media: readonly string[];
  readonly heads: readonly JsonObject[];
}

export async function sealList(database: Database, inspection: string): Promise<SealList> {
  const records = await readRecords(database, inspection);
  const found = await database.read(["items", "epochs", "lines", "meta"], async (tx) => ({
    items: await tx.by("items", "inspection", inspection),
    epochs: await tx.by("epochs", "order"),
    lines: standing(await tx.by("lines", "inspection", inspection)),
    device: (await getMeta(tx, "enrolment"))?.device,
  }));
  if (found.device === undefined) throw new Failure("journal.not_enrolled");
  const { device } = found;
  const own = found.epochs.map(({ epoch, nextSeq, head }) => ({
    device,
    epoch,
    seq: nextSeq - 1,
    head,
  }));
  // A typed code names no chain, so only what was scanned can stand among the heads.
  const noted = found.lines
    .filter((row) => row.type === "peer.head")
    .map((row) => partsOf(row)[0] ?? {})
    .filter((act) => typeof act["head"] === "string")
    .map(({ device: other = "", epoch = "", seq = 0, head = "" }) => ({ device: other, epoch, seq, head }));
  return {
    revisions: [...new Set(records.flatMap((record) => record.revisions))].sort(),
    media: [...new Set(found.items.map((item) => item.sha256))],
    heads: [...own, ...noted],
  };
}

/** Seal; what comes later is shown as outside the seal, never refused. */
export async function seal(database: Database, journal: Journal, given: Sealing): Promise<Line> {
  const { revisions, media, heads } = await sealList(database, given.inspection);
  const act = {
    type: "inspection.sealed",
    officer: given.officer,
    inspection: given.inspection,
    officers: [...given.officers],
    revisions: [...revisions],
    media: [...media],
    heads: [...heads],
  };
  try {
    return await journal.append(act);
  } catch (error) {
    const long = error instanceof EvidenceError && error.code === "journal.line_too_long";
    throw long ? new Failure("seal.too_large", `${media.length}`, { cause: error }) : error;
  }
}
