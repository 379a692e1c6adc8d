// RFC 6962 Merkle proofs, verified after RFC 9162 §2.1.3.2 and §2.1.4.2.

const LEAF = Uint8Array.of(0), NODE = Uint8Array.of(1);
const EMPTY_ROOT = sha256();

const leafHash = (entry) => sha256(LEAF, entry);
const nodeHash = (left, right) => sha256(NODE, left, right);
const half = (value) => Math.floor(value / 2);
const isOdd = (value) => value % 2 === 1;

/** Throws unless the leaf hash ``leaf`` is leaf ``index`` of the tree. */
function verifyInclusion(leaf, { index, size, path, root }) {
  if (!(0 <= index && index < size)) refuse(`no leaf ${index} in a tree of ${size}`);
  let node = leaf, last = size - 1;
  for (const sibling of path) {
    if (!last) refuse("the path is too long");
    if (isOdd(index) || index === last) {
      node = nodeHash(sibling, node);
      while (index && !isOdd(index)) (index = half(index)), (last = half(last));
    } else {
      node = nodeHash(node, sibling);
    }
    (index = half(index)), (last = half(last));
  }
  if (last) refuse("the path is too short");
  if (!same(node, root)) refuse("the path leads to another root");
}

/** Throws unless the tree of ``second`` leaves begins with that of ``first``. */
function verifyConsistency({ first, second, firstRoot, secondRoot, path }) {
  if (!(0 <= first && first <= second)) refuse("the tree has shrunk");
  if (first === 0 && !same(firstRoot, EMPTY_ROOT)) refuse("not the root of the empty tree");
  if (path.length && (first === 0 || first === second)) refuse("the path is too long");
  if (first === second) {
    if (!same(firstRoot, secondRoot)) refuse("two roots for one tree");
    return;
  }
  if (first === 0) return;
  const [old, fresh] = walkConsistency(first, second, firstRoot, [...path]);
  if (!same(old, firstRoot)) refuse("the path leads to another first root");
  if (!same(fresh, secondRoot)) refuse("the path leads to another second root");
}

function walkConsistency(first, second, firstRoot, path) {
  // A first tree that is one complete subtree is itself the start of the path.
  if (2 ** Math.round(Math.log2(first)) === first) path.unshift(firstRoot);
  if (!path.length) refuse("the path is too short");
  let index = first - 1, last = second - 1;
  while (isOdd(index)) (index = half(index)), (last = half(last));
  let old = path[0], fresh = path[0];
  for (const sibling of path.slice(1)) {
    if (!last) refuse("the path is too long");
    if (isOdd(index) || index === last) {
      old = nodeHash(sibling, old);
      fresh = nodeHash(sibling, fresh);
      while (index && !isOdd(index)) (index = half(index)), (last = half(last));
    } else {
      fresh = nodeHash(fresh, sibling);
    }
    (index = half(index)), (last = half(last));
  }
  if (last) refuse("the path is too short");
  return [old, fresh];
}
