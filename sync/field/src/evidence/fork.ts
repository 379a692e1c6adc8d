// A fork proof: two checkpoints of one ledger that one append-only tree cannot have given.
//
// Whoever holds it shows, offline and to anyone, that the holder of the ledger's key signed two
// histories (docs/evidence.md §5). A consistency proof that fails shows nothing by itself.
import { fromHex, same, toHex, type Bytes } from "./bytes";
import { parseCheckpoint, type Checkpoint } from "./checkpoint";
import { EvidenceError } from "./errors";
import { leafHash, verifyConsistency, verifyInclusion } from "./merkle";
import { openNote, type VerifierKey } from "./note";

export const FORK_FORMAT = "liuhen/fork/v1";

export type Basis = "roots" | "start" | "leaf";

interface Included {
  readonly entry: string;
  readonly path: readonly string[];
}

/** As the file holds it: notes, and digests in hex. */
export interface ForkProof {
  readonly format: typeof FORK_FORMAT;
  readonly first: string;
  readonly second: string;
  /** The larger tree begins with `root` at the smaller checkpoint's size, by `path`. */
  readonly start?: { readonly root: string; readonly path: readonly string[] };
  /** What stands at `index` in the tree of the first note and in that of the second. */
  readonly leaf?: { readonly index: number; readonly first: Included; readonly second: Included };
}

/** What `proof` proves about the ledger of `keys`; refused if it proves no fork. */
export async function checkFork(proof: ForkProof, keys: readonly VerifierKey[]): Promise<Basis> {
  const first = parseCheckpoint((await openNote(proof.first, keys)).text);
  const second = parseCheckpoint((await openNote(proof.second, keys)).text);
  if (first.origin !== second.origin) throw unproved("checkpoints of two ledgers");
  if (first.size === second.size) {
    if (same(first.root, second.root)) throw unproved("one checkpoint twice");
    return "roots";
  }
  if (proof.start !== undefined) return checkStart(proof.start, first, second);
  if (proof.leaf === undefined) throw unproved("nothing that shows the contradiction");
  const { leaf } = proof;
  for (const [{ size, root }, { entry, path }] of [
    [first, leaf.first],
    [second, leaf.second],
  ] as const) {
    const included = { index: leaf.index, size, path: nodes(path), root };
    await verifyInclusion(await leafHash(fromHex(entry, 32)), included);
  }
  if (leaf.first.entry === leaf.second.entry) throw unproved("one leaf twice");
  return "leaf";
}

async function checkStart(
  start: { readonly root: string; readonly path: readonly string[] },
  one: Checkpoint,
  other: Checkpoint,
): Promise<Basis> {
  const [small, large] = one.size < other.size ? [one, other] : [other, one];
  await verifyConsistency({
    first: small.size,
    second: large.size,
    firstRoot: fromHex(start.root, 32),
    secondRoot: large.root,
    path: nodes(start.path),
  });
  if (start.root === toHex(small.root)) throw unproved("the larger tree begins with the smaller");
  return "start";
}

function nodes(path: readonly string[]): Bytes[] {
  return path.map((node) => fromHex(node, 32));
}

function unproved(reason: string): EvidenceError {
  return new EvidenceError("fork.unproved", reason);
}
