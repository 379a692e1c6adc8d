// RFC 6962 Merkle proofs, verified after RFC 9162 §2.1.3.2 and §2.1.4.2.
import { same, sha256, type Bytes } from "./bytes";
import { EvidenceError } from "./errors";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export interface Inclusion {
  readonly index: number;
  readonly size: number;
  readonly path: readonly Bytes[];
  readonly root: Bytes;
}

export interface Consistency {
  readonly first: number;
  readonly second: number;
  readonly firstRoot: Bytes;
  readonly secondRoot: Bytes;
  readonly path: readonly Bytes[];
}

export async function leafHash(entry: Bytes): Promise<Bytes> {
  return sha256(LEAF, entry);
}

/** Refuse unless the leaf hash `leaf` stands at `index` of the tree. */
export async function verifyInclusion(leaf: Bytes, proof: Inclusion): Promise<void> {
  if (!same(await rootFromInclusion(leaf, proof), proof.root)) {
    throw invalid("the path leads to another root");
  }
}

/** The root to which the path leads from the leaf hash `leaf`. */
export async function rootFromInclusion(
  leaf: Bytes,
  proof: Omit<Inclusion, "root">,
): Promise<Bytes> {
  let { index } = proof;
  let last = proof.size - 1;
  if (!(index >= 0 && index <= last)) throw invalid(`no leaf ${index} in a tree of ${proof.size}`);
  let node = leaf;
  for (const sibling of proof.path) {
    if (last === 0) throw invalid("the path is too long");
    if (isOdd(index) || index === last) {
      node = await nodeHash(sibling, node);
      [index, last] = climb(index, last);
    } else {
      node = await nodeHash(node, sibling);
    }
    [index, last] = [half(index), half(last)];
  }
  if (last !== 0) throw invalid("the path is too short");
  return node;
}

/**
 * With what root of `first` leaves the tree of `root` begins, as `path` has it. Not for sizes that
 * are powers of two: there the path leaves that root to the reader.
 */
export async function startOfPath(
  proof: Omit<Consistency, "firstRoot">,
): Promise<Bytes> {
  const { first, second, secondRoot, path } = proof;
  if (!(first > 0 && first < second) || Number.isInteger(Math.log2(first))) {
    throw invalid("a path without its start");
  }
  const [start, end] = await walk(first, second, new Uint8Array(), path);
  if (!same(end, secondRoot)) throw invalid("the path leads to another second root");
  return start;
}

/** Refuse unless the tree of `second` leaves begins with that of `first`. */
export async function verifyConsistency(proof: Consistency): Promise<void> {
  const { first, second, firstRoot, secondRoot, path } = proof;
  if (!(first >= 0 && first <= second)) throw invalid("the tree has shrunk");
  if (first === 0 && !same(firstRoot, await sha256())) throw invalid("no root of the empty tree");
  if (path.length > 0 && (first === 0 || first === second)) throw invalid("the path is too long");
  if (first === second) {
    if (!same(firstRoot, secondRoot)) throw invalid("two roots for one tree");
    return;
  }
  if (first === 0) return;
  const [old, fresh] = await walk(first, second, firstRoot, path);
  if (!same(old, firstRoot)) throw invalid("the path leads to another first root");
  if (!same(fresh, secondRoot)) throw invalid("the path leads to another second root");
}

async function walk(
  first: number,
  second: number,
  firstRoot: Bytes,
  path: readonly Bytes[],
): Promise<[Bytes, Bytes]> {
  // A first tree that is one complete subtree is itself the start of the path.
  const [start, ...rest] = Number.isInteger(Math.log2(first)) ? [firstRoot, ...path] : path;
  if (start === undefined) throw invalid("the path is too short");
  let index = first - 1;
  let last = second - 1;
  while (isOdd(index)) [index, last] = [half(index), half(last)];
  let [old, fresh] = [start, start];
  for (const sibling of rest) {
    if (last === 0) throw invalid("the path is too long");
    if (isOdd(index) || index === last) {
      old = await nodeHash(sibling, old);
      fresh = await nodeHash(sibling, fresh);
      [index, last] = climb(index, last);
    } else {
      fresh = await nodeHash(fresh, sibling);
    }
    [index, last] = [half(index), half(last)];
  }
  if (last !== 0) throw invalid("the path is too short");
  return [old, fresh];
}

/** Up to where the node is a right child, or the only one of its level. */
function climb(index: number, last: number): [number, number] {
  while (index !== 0 && !isOdd(index)) [index, last] = [half(index), half(last)];
  return [index, last];
}

async function nodeHash(left: Bytes, right: Bytes): Promise<Bytes> {
  return sha256(NODE, left, right);
}

// Sizes go beyond 32 bits, where JavaScript's own shifts end.
function half(value: number): number {
  return Math.floor(value / 2);
}

function isOdd(value: number): boolean {
  return value % 2 === 1;
}

function invalid(reason: string): EvidenceError {
  return new EvidenceError("ledger.proof_invalid", reason);
}
