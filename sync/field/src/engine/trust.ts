// What was pinned at enrolment, and the watch that every device keeps over the server's ledger.
//
// A newer checkpoint is taken only if the ledger still begins with the one that is kept
// (docs/evidence.md §5); otherwise both are kept as an alarm.
import { same } from "../evidence/bytes";
import { parseCheckpoint, type Checkpoint } from "../evidence/checkpoint";
import { EvidenceError } from "../evidence/errors";
import { verifyConsistency } from "../evidence/merkle";
import { openNote, parseNote, parseVerifierKey } from "../evidence/note";
import { parseReceipt, type Receipt } from "../evidence/receipt";
import type { Api } from "./api";
import { Failure } from "./failures";
import type { Database } from "./idb";
import { getMeta, putMeta, type Enrolment } from "./meta";

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

/** The receipt in `note`, signed by the pinned receipt key, for this device and its ledger. */
export async function readReceipt(note: string, enrolment: Enrolment): Promise<Receipt> {
  try {
    const { text } = await openNote(note, [await parseVerifierKey(enrolment.receiptKey)]);
    const receipt = parseReceipt(text);
    const { device, origin, generation } = enrolment;
    if (receipt.device !== device || receipt.origin !== origin) {
      throw new Failure("trust.receipt_invalid", "for another device or ledger");
    }
    if (receipt.generation !== generation) {
      throw new Failure("trust.receipt_invalid", "of another generation");
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
    const kept = await readCheckpoint(keptNote, enrolment);
    if (kept.size === fresh.size && same(kept.root, fresh.root)) return;
    await follows(database, api, kept, keptNote, fresh, note);
  }
  await database.write(["meta"], async (tx) => putMeta(tx, "checkpoint", note));
}

async function follows(
  database: Database,
  api: Api,
  kept: Checkpoint,
  keptNote: string,
  fresh: Checkpoint,
  note: string,
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
    const reason = error instanceof Error ? error.message : String(error);
    await database.write(["alarms"], async (tx) => {
      const known = await tx.all("alarms");
      if (known.some((alarm) => alarm.kept === keptNote && alarm.got === note)) return;
      tx.add("alarms", { kept: keptNote, got: note, reason, atMs: Date.now() });
    });
    throw new Failure("trust.ledger_forked", reason, { cause: error });
  }
}

function explained(error: unknown, code: "trust.checkpoint_invalid" | "trust.receipt_invalid") {
  if (!(error instanceof EvidenceError)) return error;
  return new Failure(code, error.message, { cause: error });
}
