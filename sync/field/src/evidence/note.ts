// C2SP signed notes: a text with signatures under it (https://c2sp.org/signed-note).
//
// Signatures by unknown keys are ignored, as the specification demands.
import { concat, fromBase64, same, sha256, toBase64, toHex, utf8, type Bytes } from "./bytes";
import * as ed25519 from "./ed25519";
import { EvidenceError } from "./errors";

export const ED25519 = 0x01;
export const COSIGNATURE_V1 = 0x04;
const PREFIX = "\u2014 ";
const NAME = /^[^\s+]+$/u;
const CONTROL = /[\x00-\x09\x0b-\x1f\x7f]/;
const SURROGATE = /\p{Surrogate}/u;
const MAX_SIGNATURES = 100;

/** A named Ed25519 key; `spelling` is its one `name+hash+base64`. */
export interface VerifierKey {
  readonly name: string;
  readonly publicKey: Bytes;
  readonly hash: Bytes;
  readonly spelling: string;
}

export interface SignedNote {
  /** Ends in a newline. */
  readonly text: string;
  /** Name, and key hash with what the key's type signs with. */
  readonly signatures: readonly { readonly name: string; readonly data: Bytes }[];
}

export async function parseVerifierKey(text: string, kind = ED25519): Promise<VerifierKey> {
  const spelled = text.trim();
  const [name = "", hash = "", ...rest] = spelled.split("+");
  let data: Bytes;
  try {
    data = fromBase64(rest.join("+"));
  } catch {
    throw new EvidenceError("evidence.key_malformed", "a key that is not base64");
  }
  if (data.length !== 33 || data[0] !== kind) {
    throw new EvidenceError("evidence.key_malformed", "not an Ed25519 key of this type");
  }
  if (!NAME.test(name) || SURROGATE.test(name)) {
    throw new EvidenceError("evidence.key_malformed", "a key name has no spaces and no plus signs");
  }
  const publicKey = data.slice(1);
  await ed25519.checkKey(publicKey);
  const key = await verifierKey(name, publicKey, kind);
  if (toHex(key.hash) !== hash.toLowerCase()) {
    throw new EvidenceError("evidence.key_malformed", "the key hash is not that of the key");
  }
  return key;
}

/** A public key that was checked before, under `name`. */
export async function verifierKey(
  name: string,
  publicKey: Bytes,
  kind = ED25519,
): Promise<VerifierKey> {
  const data = concat(Uint8Array.of(kind), publicKey);
  const hash = (await sha256(utf8(`${name}\n`), data)).slice(0, 4);
  return { name, publicKey, hash, spelling: `${name}+${toHex(hash)}+${toBase64(data)}` };
}

/** Take a note apart without checking any signature. */
export function parseNote(note: string): SignedNote {
  const end = note.lastIndexOf("\n\n");
  if (!note.endsWith("\n") || end < 0) throw malformed("no signatures");
  if (CONTROL.test(note) || SURROGATE.test(note)) throw malformed("control characters");
  const rows = note.slice(end + 2).split("\n").slice(0, -1);
  if (rows.length < 1 || rows.length > MAX_SIGNATURES) {
    throw malformed(`between 1 and ${MAX_SIGNATURES} signatures`);
  }
  return { text: note.slice(0, end + 1), signatures: rows.map(parseSignature) };
}

/** The text of `note` with those of `keys` that signed it: one at least, and none in vain. */
export async function openNote(
  note: string,
  keys: readonly VerifierKey[],
): Promise<{ readonly text: string; readonly signers: readonly VerifierKey[] }> {
  const { text, signatures } = parseNote(note);
  const signers: VerifierKey[] = [];
  for (const key of keys) {
    const own = signatures.filter(
      ({ name, data }) => name === key.name && same(data.subarray(0, 4), key.hash),
    );
    for (const { data } of own) {
      if (!(await ed25519.verify(key.publicKey, utf8(text), data.slice(4)))) {
        throw new EvidenceError("note.forged", `the signature of ${key.name} does not verify`);
      }
    }
    if (own.length > 0) signers.push(key);
  }
  if (signers.length === 0) {
    throw new EvidenceError("note.unsigned", "signed by none of the known keys");
  }
  return { text, signers };
}

/** A witness's signature under a checkpoint (https://c2sp.org/tlog-cosignature). */
export interface Cosignature {
  readonly key: VerifierKey;
  readonly timeS: number;
}

/** The cosignatures of `keys`, of type 0x04, in the order of the note's lines. */
export async function cosignatures(
  note: SignedNote,
  keys: readonly VerifierKey[],
): Promise<Cosignature[]> {
  const found: Cosignature[] = [];
  for (const { name, data } of note.signatures) {
    const key = keys.find((one) => one.name === name && same(data.subarray(0, 4), one.hash));
    if (key !== undefined) found.push(await cosignature(note.text, key, data));
  }
  return found;
}

async function cosignature(text: string, key: VerifierKey, data: Bytes): Promise<Cosignature> {
  const forged = new EvidenceError("note.forged", `the cosignature of ${key.name} does not verify`);
  if (data.length !== 4 + 8 + 64) throw forged;
  const time = new DataView(data.buffer, data.byteOffset).getBigUint64(4);
  const message = utf8(`cosignature/v1\ntime ${time}\n${text}`);
  if (time > BigInt(Number.MAX_SAFE_INTEGER)) throw forged;
  if (!(await ed25519.verify(key.publicKey, message, data.slice(12)))) throw forged;
  return { key, timeS: Number(time) };
}

function parseSignature(row: string): { name: string; data: Bytes } {
  const [name = "", ...encoded] = row.slice(PREFIX.length).split(" ");
  if (!row.startsWith(PREFIX) || !NAME.test(name)) throw malformed("a signature of another form");
  let data: Bytes;
  try {
    data = fromBase64(encoded.join(" "));
  } catch {
    throw malformed("a signature that is not base64");
  }
  if (data.length < 5) throw malformed("a signature that is too short");
  return { name, data: concat(data) };
}

function malformed(reason: string): EvidenceError {
  return new EvidenceError("note.malformed", reason);
}
