// Which key takes over the ledger from which: each new one is named by the one before it
// (docs/evidence.md §5).
import { same } from "./bytes";
import { EvidenceError } from "./errors";
import { openNote, parseNote, parseVerifierKey, verifierKey, type VerifierKey } from "./note";

const FIRST = "liuhen/ledger-key/v1";

/**
 * The keys to which `endorsements` lead from `known`, those known first. What does not hold leads
 * nowhere. A key counts under every name: the bureau goes on with it when its ledger gets another.
 */
export async function successors(
  known: readonly VerifierKey[],
  endorsements: readonly string[],
): Promise<VerifierKey[]> {
  const reached = [...known];
  const left = new Set(endorsements);
  for (let moved = true; moved; ) {
    moved = false;
    for (const note of [...left]) {
      const key = await endorsed(note, reached);
      if (key === null) continue;
      left.delete(note);
      moved = true;
      const isNew = !reached.some((one) => one.spelling === key.spelling);
      if (isNew) reached.push(key);
    }
  }
  return reached;
}

/** Whether `keys` hold the public key of `key`, whatever its name there. */
export function holds(keys: readonly VerifierKey[], key: VerifierKey): boolean {
  return keys.some((one) => same(one.publicKey, key.publicKey));
}

/** The key that `note` names, if one of `reached` signed it. */
async function endorsed(
  note: string,
  reached: readonly VerifierKey[],
): Promise<VerifierKey | null> {
  try {
    const { text, signatures } = parseNote(note);
    const rows = text.split("\n");
    if (rows.length !== 3 || rows[0] !== FIRST || rows[2] !== "") return null;
    const key = await parseVerifierKey(rows[1] ?? "");
    const names = new Set(signatures.map(({ name }) => name));
    const signers: VerifierKey[] = [];
    for (const name of names) {
      for (const one of reached) signers.push(await verifierKey(name, one.publicKey));
    }
    await openNote(note, signers);
    return key;
  } catch (error) {
    if (error instanceof EvidenceError) return null;
    throw error;
  }
}
