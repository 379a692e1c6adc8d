// ECDSA over P-256 with SHA-256 by WebCrypto: keys that cannot be read out, signatures with low S.
import { concat, fromHex, same, sha256Hex, toHex, type Bytes } from "./bytes";
import { EvidenceError } from "./errors";

// The SubjectPublicKeyInfo of an uncompressed point is this prefix and 64 bytes (RFC 5480).
const SPKI_PREFIX = fromHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004");
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;

/** A device's key: the private half stays in the browser's key store, which IndexedDB can keep. */
export interface DeviceKey {
  readonly privateKey: CryptoKey;
  readonly spki: Bytes;
  /** SHA-256 of `spki`, in hex. */
  readonly keyId: string;
}

/** A new key that nothing, this program included, can read out. */
export async function makeKey(): Promise<DeviceKey> {
  const pair = await crypto.subtle.generateKey(ALGORITHM, false, ["sign", "verify"]);
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
  return { privateKey: pair.privateKey, spki, keyId: await sha256Hex(spki) };
}

/** The 64 bytes r‖s over `message`, with S in the lower half of the order. */
export async function sign(key: CryptoKey, message: Bytes): Promise<Bytes> {
  const signature = new Uint8Array(await crypto.subtle.sign(SIGNATURE, key, message));
  const s = integer(signature.subarray(32));
  if (s <= ORDER / 2n) return signature;
  const low = fromHex((ORDER - s).toString(16).padStart(64, "0"));
  return concat(signature.subarray(0, 32), low);
}

/** A public key from its one SPKI encoding. */
export async function importSpki(spki: Bytes): Promise<CryptoKey> {
  if (spki.length !== 91 || !same(spki.subarray(0, SPKI_PREFIX.length), SPKI_PREFIX)) {
    throw new EvidenceError("evidence.key_malformed", "not the SPKI of an uncompressed P-256 key");
  }
  try {
    return await crypto.subtle.importKey("spki", spki, ALGORITHM, true, ["verify"]);
  } catch {
    throw new EvidenceError("evidence.key_malformed", "a point that is not on P-256");
  }
}

export async function verify(key: CryptoKey, message: Bytes, signature: Bytes): Promise<boolean> {
  return crypto.subtle.verify(SIGNATURE, key, signature, message);
}

/** Whether r and s are in range and s is the low one, so that nobody can respell a signature. */
export function isInRange(signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  const r = integer(signature.subarray(0, 32));
  const s = integer(signature.subarray(32));
  return 0n < r && r < ORDER && 0n < s && s <= ORDER / 2n;
}

function integer(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes)}`);
}
