// Ed25519 as the server's notes are signed: one implementation, so that every phone judges alike.
//
// WebCrypto has it in some browsers only, and where it has, they differ on keys of small order
// and on encodings that are not canonical. Loaded when the first note is to be verified.
import { toHex, type Bytes } from "./bytes";
import { EvidenceError } from "./errors";

type Noble = typeof import("@noble/ed25519");

async function noble(): Promise<Noble> {
  return import("@noble/ed25519");
}

/** Refuse what is no point in its one encoding, and keys under which anyone could sign. */
export async function checkKey(key: Bytes): Promise<void> {
  const { Point } = await noble();
  let small: boolean;
  try {
    small = Point.fromHex(toHex(key), false).isSmallOrder();
  } catch {
    throw new EvidenceError("evidence.key_malformed", "not an Ed25519 public key");
  }
  if (small) throw new EvidenceError("evidence.key_malformed", "an Ed25519 key of small order");
}

export async function verify(key: Bytes, message: Bytes, signature: Bytes): Promise<boolean> {
  const { verifyAsync } = await noble();
  if (signature.length !== 64) return false;
  return verifyAsync(signature, message, key, { zip215: false });
}
