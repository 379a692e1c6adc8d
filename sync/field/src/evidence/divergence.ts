// Finding what differs between two copies of the same documents (docs/protocol.md §4.4).
import { fromBase64url, sha256, sha256Hex, toBase64url, utf8, type Bytes } from "./bytes";
import { dump, type Json } from "./canonical";
import { EvidenceError } from "./errors";

export const MAX_BITS = 12;
const PER_BUCKET = 16;

/** The first 16 hex digits of the SHA-256 of a document's canonical bytes. */
export async function documentDigest(body: Json): Promise<string> {
  return (await sha256Hex(dump(body))).slice(0, 16);
}

/** The 64-bit number that says in which bucket a document lies, whatever its version. */
export async function placeOf(kind: string, id: string): Promise<bigint> {
  return hash(`liuhen/place\n${kind}\n${id}`);
}

/** The 64-bit number of one version of a document. */
export async function fingerprint(kind: string, id: string, digest: string): Promise<bigint> {
  return hash(`liuhen/document\n${kind}\n${id}\n${digest}`);
}

/** How many bits number the buckets for `count` documents: 0 (one bucket) to 12. */
export function bitsFor(count: number): number {
  let bits = 0;
  while (bits < MAX_BITS && count > PER_BUCKET * 2 ** bits) bits++;
  return bits;
}

/** The bucket of a document: the highest `bits` bits of its place. */
export function bucketOf(place: bigint, bits: number): number {
  return Number(place >> BigInt(64 - bits));
}

/** The sums of 2^`bits` buckets: the exclusive or of the fingerprints in each. */
export function foldInto(
  bits: number,
  documents: Iterable<{ readonly place: bigint; readonly mark: bigint }>,
): bigint[] {
  const sums = new Array<bigint>(2 ** bits).fill(0n);
  for (const { place, mark } of documents) {
    const bucket = bucketOf(place, bits);
    sums[bucket] = (sums[bucket] ?? 0n) ^ mark;
  }
  return sums;
}

/** Sums as unpadded base64url, eight bytes each, big-endian. */
export function encodeSums(sums: readonly bigint[]): string {
  const packed = new Uint8Array(8 * sums.length);
  const view = new DataView(packed.buffer);
  sums.forEach((sum, place) => view.setBigUint64(8 * place, sum));
  return toBase64url(packed);
}

export function decodeSums(text: string, bits: number): bigint[] {
  const packed = fromBase64url(text);
  if (packed.length !== 8 * 2 ** bits) {
    throw new EvidenceError("journal.bad_encoding", "another number of sums");
  }
  const view = new DataView(packed.buffer);
  return Array.from({ length: 2 ** bits }, (_, place) => view.getBigUint64(8 * place));
}

/** The numbers of the buckets whose sums differ. */
export function differing(ours: readonly bigint[], theirs: readonly bigint[]): number[] {
  return ours.flatMap((sum, place) => (sum === theirs[place] ? [] : [place]));
}

/** A fingerprint as 16 hex digits. */
export function markText(mark: bigint): string {
  return mark.toString(16).padStart(16, "0");
}

async function hash(text: string): Promise<bigint> {
  const digest: Bytes = await sha256(utf8(text));
  return new DataView(digest.buffer).getBigUint64(0);
}
