// Bytes at rest: under AES-GCM with a key that only the PIN unwraps.
//
// It guards what lies on a lost phone against whoever picks it up, not against somebody who
// tries all PINs of a copied disk; the evidence is guarded by signatures, not by this.
import { utf8, type Bytes } from "../evidence/bytes";
import { Failure } from "./failures";
import type { VaultRow } from "./meta";
import type { BlobRow } from "./schema";

// What OWASP asks of PBKDF2 with SHA-256; half a second on a cheap phone, once for each unlock.
const ITERATIONS = 600_000;
const AES = { name: "AES-GCM", length: 256 } as const;

/** Make a data key and wrap it with `pin`; the key itself cannot be read out. */
export async function createVault(
  pin: string,
  iterations = ITERATIONS,
): Promise<{ readonly row: VaultRow; readonly key: CryptoKey }> {
  const fresh = await crypto.subtle.generateKey(AES, true, ["encrypt", "decrypt"]);
  const row = await wrap(fresh, pin, iterations);
  return { row, key: await unlockVault(row, pin) };
}

/** The data key; refused if the PIN is another. */
export async function unlockVault(row: VaultRow, pin: string): Promise<CryptoKey> {
  return unwrap(row, pin, false);
}

/** The same data key under another PIN. */
export async function changePin(row: VaultRow, pin: string, next: string): Promise<VaultRow> {
  return wrap(await unwrap(row, pin, true), next, row.iterations);
}

/** `bytes` as they lie on the disk, bound to their digest. */
export async function seal(key: CryptoKey, sha256: string, bytes: Bytes): Promise<BlobRow> {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const sealed = await crypto.subtle.encrypt(gcm(iv, sha256), key, bytes);
  return { sha256, size: bytes.length, iv, sealed };
}

/** The bytes of `blob`; refused if one bit of them has changed. */
export async function unseal(key: CryptoKey, blob: BlobRow): Promise<Bytes> {
  try {
    return new Uint8Array(await crypto.subtle.decrypt(gcm(blob.iv, blob.sha256), key, blob.sealed));
  } catch (error) {
    throw new Failure("vault.damaged", blob.sha256.slice(0, 12), { cause: error });
  }
}

function gcm(iv: Bytes, sha256: string): AesGcmParams {
  return { name: "AES-GCM", iv, additionalData: utf8(sha256) };
}

async function wrap(key: CryptoKey, pin: string, iterations: number): Promise<VaultRow> {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const wrapping = await derive(pin, salt, iterations);
  const wrapped = await crypto.subtle.wrapKey("raw", key, wrapping, { name: "AES-GCM", iv });
  return { salt, iterations, iv, wrapped };
}

async function unwrap(row: VaultRow, pin: string, extractable: boolean): Promise<CryptoKey> {
  const wrapping = await derive(pin, row.salt, row.iterations);
  const opened = { name: "AES-GCM", iv: row.iv } as const;
  try {
    return await crypto.subtle.unwrapKey("raw", row.wrapped, wrapping, opened, AES, extractable, [
      "encrypt",
      "decrypt",
    ]);
  } catch (error) {
    throw new Failure("vault.wrong_pin", "", { cause: error });
  }
}

async function derive(pin: string, salt: Bytes, iterations: number): Promise<CryptoKey> {
  const typed = await crypto.subtle.importKey("raw", utf8(pin), "PBKDF2", false, ["deriveKey"]);
  const by = { name: "PBKDF2", hash: "SHA-256", salt, iterations } as const;
  return crypto.subtle.deriveKey(by, typed, AES, false, ["wrapKey", "unwrapKey"]);
}
