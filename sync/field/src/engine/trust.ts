// What was pinned at enrolment, and the watch that every device keeps over the server's ledger.
//
// A newer checkpoint is taken only if the ledger still begins with the one that is kept
// (docs/evidence.md §5); otherwise both are kept as an alarm.
import { same, toHex, type Bytes } from "../evidence/bytes";
import { parseCheckpoint, type Checkpoint } from "../evidence/checkpoint";
import { EvidenceError } from "../evidence/errors";
import { checkFork, FORK_FORMAT, type ForkProof } from "../evidence/fork";
import { startOfPath, verifyConsistency } from "../evidence/merkle";
import { openNote, parseNote, parseVerifierKey } from "../evidence/note";
import { parseReceipt, type Receipt } from "../evidence/receipt";
import type { Api } from "./api";
import { Failure, isFailure } from "./failures";
import type { Database } from "./idb";
import { getMeta, putMeta, type Enrolment } from "./meta";
import type { AlarmRow } from "./schema";

/** The checkpoint in `note`, signed by the pinned ledger key. */
export async function readCheckpoint(note: string, enrolment: Enrolment): Promise<Checkpoint> {
  try {
    const claimed = parseCheckpoint(parseNote(note).text);
    if (claimed.origin !== enrolment.origin) {
      throw new Failure("trust.generation_changed", claimed.origin);
    }
    await openNote(note, [await parseVerifierKey(enrolment.ledgerKey)]);
    return claimed;
  } catch (error) {
    throw explained(error, "trust.checkpoint_invalid");
  }
}

/** The checkpoint in `note`, which this device verified before, under the key of then. */
export async function readKeptCheckpoint(note: string, enrolment: Enrolment): Promise<Checkpoint> {
  const keys = [enrolment.ledgerKey, ...(enrolment.earlierLedgerKeys ?? [])];
  for (const [place, ledgerKey] of keys.entries()) {
    try {
      return await readCheckpoint(note, { ...enrolment, ledgerKey });
    } catch (error) {
      const last = place === keys.length - 1;
      if (last || !isFailure(error, "trust.checkpoint_invalid")) throw error;
    }
  }
  throw new Failure("trust.checkpoint_invalid", "no key");
}

/**
 * The receipt in `note`, signed by a pinned receipt key, for this device and its ledger. One of an
 * earlier generation stays good for its lines.
 */
export async function readReceipt(note: string, enrolment: Enrolment): Promise<Receipt> {
  try {
    const receipt = parseReceipt(parseNote(note).text);
    const ledger = [...(enrolment.earlier ?? []), enrolment].find(
      (one) => one.origin === receipt.origin && one.generation === receipt.generation,
    );
    if (ledger === undefined) throw new Failure("trust.receipt_invalid", "of another ledger");
    await openNote(note, [await parseVerifierKey(ledger.receiptKey)]);
    if (receipt.device !== enrolment.device) {
      throw new Failure("trust.receipt_invalid", "for another device");
    }
    return receipt;
  } catch (error) {
    throw explained(error, "trust.receipt_invalid");
  }
}

/** Check `note` against the checkpoint that is kept, and keep the newer one. */
export async function seeCheckpoint(
  database: Database,
  enrolment: Enrolment,
  api: Api,
  note: string,
): Promise<void> {
  const keptNote = await database.read(["meta"], (tx) => getMeta(tx, "checkpoint"));
  if (note === keptNote) return;
  const fresh = await readCheckpoint(note, enrolment);
  if (keptNote !== undefined && keptNote !== "") {
    const kept = await readKeptCheckpoint(keptNote, enrolment);
    if (kept.size === fresh.size && same(kept.root, fresh.root)) return;
    await follows(database, enrolment, api, { kept, keptNote, fresh, note });
  }
  await database.write(["meta"], async (tx) => putMeta(tx, "checkpoint", note));
}

interface Pair {
  readonly kept: Checkpoint;
  readonly keptNote: string;
  readonly fresh: Checkpoint;
  readonly note: string;
}

async function follows(
  database: Database,
  enrolment: Enrolment,
  api: Api,
  { kept, keptNote, fresh, note }: Pair,
): Promise<void> {
  const grown = kept.size < fresh.size;
  const path = grown ? await api.consistency(kept.size, fresh.size) : [];
  try {
    await verifyConsistency({
      first: kept.size,
      second: fresh.size,
      firstRoot: kept.root,
      secondRoot: fresh.root,
      path,
    });
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    const start = await otherStart(api, kept, fresh, path);
    const alarm = { kept: keptNote, got: note, reason: error.message };
    throw await raiseAlarm(database, enrolment, start === null ? alarm : { ...alarm, start });
  }
}

/**
 * With what the larger tree begins instead. A path that fails proves nothing to others; one that
 * holds from another root does, and a server that answers as its database tells it gives it away.
 */
async function otherStart(
  api: Api,
  kept: Checkpoint,
  fresh: Checkpoint,
  path: readonly Bytes[],
): Promise<NonNullable<AlarmRow["start"]> | null> {
  const sizes = { first: kept.size, second: fresh.size };
  const told = (root: Bytes) => ({ root: toHex(root), path: path.map(toHex) });
  try {
    return told(await startOfPath({ ...sizes, secondRoot: fresh.root, path }));
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
  }
  if (!(sizes.first > 0 && sizes.first < sizes.second)) return null;
  try {
    return told(await api.treeRoot(sizes.first));
  } catch (error) {
    if (!(error instanceof EvidenceError) && !isFailure(error)) throw error;
    return null;
  }
}

/** Keep both notes and what shows that they contradict each other; what it is called. */
export async function raiseAlarm(
  database: Database,
  enrolment: Enrolment,
  found: Pick<AlarmRow, "kept" | "got" | "reason" | "start">,
): Promise<Failure> {
  const proved = await isProof(forkProof(found), enrolment);
  await database.write(["alarms"], async (tx) => {
    const rows = await tx.all("alarms");
    const known = rows.filter((one) => one.kept === found.kept && one.got === found.got);
    // What could not be asked at the first contact may be told at the next.
    if (known.length > 0 && (!proved || known.some((one) => one.proved))) return;
    tx.add("alarms", { ...found, proved, atMs: Date.now() });
  });
  return new Failure("trust.ledger_forked", found.reason);
}

/** The alarm as a fork proof, which `liuhen-verify --fork` checks for anyone with the key. */
export function forkProof(alarm: Pick<AlarmRow, "kept" | "got" | "start">): ForkProof {
  const { kept: first, got: second, start } = alarm;
  return { format: FORK_FORMAT, first, second, ...(start === undefined ? {} : { start }) };
}

async function isProof(proof: ForkProof, enrolment: Enrolment): Promise<boolean> {
  const spelled = [enrolment.ledgerKey, ...(enrolment.earlierLedgerKeys ?? [])];
  try {
    await checkFork(proof, await Promise.all(spelled.map((key) => parseVerifierKey(key))));
    return true;
  } catch (error) {
    if (error instanceof EvidenceError) return false;
    throw error;
  }
}

function explained(error: unknown, code: "trust.checkpoint_invalid" | "trust.receipt_invalid") {
  if (!(error instanceof EvidenceError)) return error;
  return new Failure(code, error.message, { cause: error });
}
