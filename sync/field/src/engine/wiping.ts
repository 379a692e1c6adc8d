// Emptying a phone that was told to: everything is handed in first, the key goes last.
//
// What stays is a statement with the receipts, so that whoever finds the phone can see what it was
// and that its evidence is elsewhere (docs/protocol.md §4.2).
import type { Database, Transaction } from "./idb";
import type { Journal } from "./journal";
import { getMeta, putMeta, type WipedRow } from "./meta";
import type { StoreName } from "./schema";

const EVERYTHING: readonly StoreName[] = [
  "meta",
  "epochs",
  "lines",
  "items",
  "blobs",
  "recordings",
  "uploads",
  "receipts",
  "documents",
  "alarms",
];

/** Whether the last line, `device.wiped`, is written. */
export async function isWiping(database: Database): Promise<boolean> {
  return (await database.read(["meta"], (tx) => getMeta(tx, "wiping"))) === true;
}

/** Whether the server gave its receipt for every line and has every file. */
export async function isHandedIn(database: Database): Promise<boolean> {
  return database.read(["lines", "items", "recordings"], handedIn);
}

async function handedIn(tx: Transaction): Promise<boolean> {
  for (const state of ["kept", "refused", "stranded"]) {
    const range = IDBKeyRange.bound([state], [state, []]);
    if ((await tx.count("lines", "state", range)) > 0) return false;
  }
  const local = IDBKeyRange.bound(["local"], ["local", []]);
  if ((await tx.count("items", "waiting", local)) > 0) return false;
  // A recording without an item is not announced yet.
  return (await tx.all("recordings")).every((row) => row.item !== "");
}

/** Write the last line; from then on this phone will be wiped, whatever happens meanwhile. */
export async function sayFarewell(database: Database, journal: Journal): Promise<void> {
  const counts = await database.read(["lines", "items"], async (tx) => ({
    lines: await tx.count("lines"),
    media: await tx.count("items"),
  }));
  await journal.append({ type: "device.wiped", ...counts }, [], {
    stores: ["meta"],
    write: (tx) => putMeta(tx, "wiping", true),
  });
}

/** Leave the statement and delete all else, at once; false where something came in meanwhile. */
export async function erase(database: Database, nowMs: number): Promise<boolean> {
  const done = await database.write(EVERYTHING, async (tx) => {
    const enrolment = await getMeta(tx, "enrolment");
    if (enrolment === undefined || !(await handedIn(tx))) return false;
    const epochs = await tx.all("epochs");
    const statement: WipedRow = {
      device: enrolment.device,
      name: enrolment.name,
      organization: enrolment.organizationName,
      origin: enrolment.origin,
      wipedAtMs: nowMs,
      epochs: epochs.map(({ epoch, nextSeq, head }) => ({ epoch, lastSeq: nextSeq - 1, head })),
      receipts: (await tx.all("receipts")).map(({ note }) => note),
    };
    for (const store of EVERYTHING) tx.clear(store);
    putMeta(tx, "wiped", statement);
    return true;
  });
  if (done) await deleteFiles();
  return done;
}

/** Finish a wipe that was cut short between the database and the files beside it. */
export async function finishWipe(database: Database): Promise<void> {
  const { wiped, enrolled } = await database.read(["meta"], async (tx) => ({
    wiped: (await getMeta(tx, "wiped")) !== undefined,
    enrolled: (await getMeta(tx, "enrolment")) !== undefined,
  }));
  if (wiped && !enrolled) await deleteFiles();
}

/** Recordings lie in files of their own, sealed under a key that is gone. */
async function deleteFiles(): Promise<void> {
  const root = await navigator.storage.getDirectory();
  for await (const name of root.keys()) {
    await root.removeEntry(name, { recursive: true }).catch(() => undefined);
  }
}
