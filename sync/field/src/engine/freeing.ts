// Giving room back: local copies of files that the server has, proves to have, and has backed up.
//
// Only of sealed visits, and three things must hold for each file: every line that announces it
// is covered by a receipt that verifies now, the server says again that it has the bytes, and
// they were there before its last backup. Lines and receipts stay.
import { Api, hello, type Hello } from "./api";
import { Failure, isFailure } from "./failures";
import type { Database } from "./idb";
import { getMeta, type Enrolment } from "./meta";
import type { ItemRow } from "./schema";
import { readReceipt } from "./trust";
import { sweepFrames } from "./recordings";
import { visits } from "./visits";

const DIGESTS_AT_ONCE = 500;

export interface Freed {
  readonly items: number;
  readonly bytes: number;
}

/**
 * Note that what is stored now was stored before the line at `seq` got its place in the ledger.
 *
 * The ledger is in the order of commits: whatever the server had said before that line left this
 * phone stands before it, and so in every backup that holds the line.
 */
export async function noteStored(
  database: Database,
  enrolment: Enrolment,
  place: { readonly epoch: string; readonly seq: number },
): Promise<void> {
  const receipt = await receiptOf(database, enrolment, place);
  if (receipt === null) return;
  const { generation } = receipt;
  const index = receipt.first_index + place.seq - receipt.first_seq;
  await database.write(["items"], async (tx) => {
    const stored = IDBKeyRange.bound(["stored"], ["stored", []]);
    for (const item of await tx.by("items", "waiting", stored)) {
      if (item.storedBefore?.generation === generation) continue;
      tx.put("items", { ...item, storedBefore: { generation, index } });
    }
  });
}

/** Find the copies that may go and were taken before `beforeMs`; delete them if `really`. */
export async function freeCopies(
  database: Database,
  given: { readonly beforeMs: number; readonly really: boolean },
): Promise<Freed> {
  const { enrolment, key } = await database.read(["meta"], async (tx) => ({
    enrolment: await getMeta(tx, "enrolment"),
    key: await getMeta(tx, "key"),
  }));
  if (enrolment === undefined || key === undefined) throw new Failure("journal.not_enrolled");
  const api = new Api(key, enrolment.device, enrolment.origin);
  const server = await hello();
  if (server.origin !== enrolment.origin) {
    throw new Failure("trust.generation_changed", server.origin);
  }
  const may = await candidates(database, enrolment, server, given.beforeMs);
  const going = await stillStored(database, api, may);
  if (given.really) {
    await remove(database, going);
    await sweepFrames(database);
  }
  return { items: going.length, bytes: going.reduce((sum, item) => sum + item.size, 0) };
}

async function candidates(
  database: Database,
  enrolment: Enrolment,
  server: Hello,
  beforeMs: number,
): Promise<ItemRow[]> {
  const sealed = new Set(
    (await visits(database)).filter((visit) => visit.sealed).map((visit) => visit.inspection),
  );
  const { all, here } = await database.read(["items", "blobs"], async (tx) => ({
    all: await tx.all("items"),
    here: new Set((await tx.keys("blobs")).map(String)),
  }));
  const fit = async (item: ItemRow): Promise<boolean> =>
    item.state === "stored" &&
    item.takenAtMs < beforeMs &&
    sealed.has(item.inspection) &&
    item.storedBefore?.generation === server.generation &&
    item.storedBefore.index < server.backedUpSize &&
    (await receiptOf(database, enrolment, item)) !== null;
  const byDigest = new Map<string, ItemRow[]>();
  for (const item of all) {
    byDigest.set(item.sha256, [...(byDigest.get(item.sha256) ?? []), item]);
  }
  const found: ItemRow[] = [];
  for (const [sha256, items] of byDigest) {
    // Recordings do not lie among the blobs.
    const isHere =
      here.has(sha256) ||
      items.some((item) => item.recording !== undefined && item.freedAtMs === undefined);
    const fits = isHere ? await Promise.all(items.map(fit)) : [false];
    const [first] = items;
    if (first !== undefined && fits.every(Boolean)) found.push(first);
  }
  return found;
}

/** A receipt that verifies now for the line at `place`, or null. */
async function receiptOf(
  database: Database,
  enrolment: Enrolment,
  place: { readonly epoch: string; readonly seq: number },
) {
  const { epoch, seq } = place;
  const rows = await database.read(["receipts"], (tx) =>
    tx.by("receipts", "place", IDBKeyRange.bound([epoch, seq], [epoch, Infinity])),
  );
  for (const row of rows.filter((one) => one.firstSeq <= seq)) {
    try {
      const receipt = await readReceipt(row.note, enrolment);
      const last = await database.read(["lines"], (tx) => tx.get("lines", [epoch, row.lastSeq]));
      if (last?.digest === receipt.last_digest) return receipt;
    } catch (error) {
      if (!isFailure(error)) throw error;
    }
  }
  return null;
}

async function stillStored(
  database: Database,
  api: Api,
  items: readonly ItemRow[],
): Promise<ItemRow[]> {
  const kept: ItemRow[] = [];
  for (let start = 0; start < items.length; start += DIGESTS_AT_ONCE) {
    const asked = items.slice(start, start + DIGESTS_AT_ONCE);
    const answer = await api.lacking(asked.map((item) => item.sha256));
    const lacking = new Set(answer.lacking);
    const missing = new Set([...answer.lacking, ...answer.unannounced]);
    await database.write(["items"], async (tx) => {
      // The server has lost it since: the next sync sends it again.
      for (const { sha256 } of asked.filter((one) => lacking.has(one.sha256))) {
        for (const item of await tx.by("items", "sha256", sha256)) {
          tx.put("items", { ...item, state: "local" });
        }
      }
    });
    kept.push(...asked.filter((item) => !missing.has(item.sha256)));
  }
  return kept;
}

async function remove(database: Database, going: readonly ItemRow[]): Promise<void> {
  const freedAtMs = Date.now();
  await database.write(["items", "blobs"], async (tx) => {
    for (const { sha256 } of going) {
      const items = await tx.by("items", "sha256", sha256);
      // What was taken again meanwhile is no copy of the past.
      if (items.some((item) => item.state !== "stored")) continue;
      for (const item of items) tx.put("items", { ...item, freedAtMs });
      tx.delete("blobs", sha256);
    }
  });
}
