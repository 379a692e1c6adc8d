// Bytes and their spellings: lowercase hex and the one base64 of each kind, nothing looser.
import { EvidenceError } from "./errors";

export type Bytes = Uint8Array<ArrayBuffer>;

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();

export function utf8(text: string): Bytes {
  return ENCODER.encode(text);
}

export function fromUtf8(bytes: Uint8Array): string {
  try {
    return DECODER.decode(bytes);
  } catch {
    throw new EvidenceError("journal.bad_encoding", "not UTF-8");
  }
}

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte] ?? "";
  return text;
}

/** Bytes of lowercase hex; of just `size` bytes where that is given. */
export function fromHex(text: string, size?: number): Bytes {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) {
    throw new EvidenceError("journal.bad_encoding", "not lowercase hex");
  }
  const bytes = new Uint8Array(text.length / 2);
  if (size !== undefined && bytes.length !== size) {
    throw new EvidenceError("journal.bad_encoding", `not ${size} bytes in hex`);
  }
  for (let place = 0; place < bytes.length; place++) {
    bytes[place] = Number.parseInt(text.slice(2 * place, 2 * place + 2), 16);
  }
  return bytes;
}

export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** Bytes of padded base64 that encodes again to the same text. */
export function fromBase64(text: string): Bytes {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) {
    throw new EvidenceError("journal.bad_encoding", "not base64");
  }
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  if (toBase64(bytes) !== text) throw new EvidenceError("journal.bad_encoding", "not base64");
  return bytes;
}

export function toBase64url(bytes: Uint8Array): string {
  return toBase64(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

/** Bytes of unpadded base64url that encodes again to the same text. */
export function fromBase64url(text: string): Bytes {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) {
    throw new EvidenceError("journal.bad_encoding", "not base64url");
  }
  const padding = "===".slice((text.length + 3) % 4);
  return fromBase64(text.replace(/-/g, "+").replace(/_/g, "/") + padding);
}

export function concat(...pieces: readonly Uint8Array[]): Bytes {
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let place = 0;
  for (const piece of pieces) {
    joined.set(piece, place);
    place += piece.length;
  }
  return joined;
}

export function same(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, place) => byte === right[place]);
}

export async function sha256(...pieces: readonly Uint8Array[]): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", concat(...pieces)));
}

export async function sha256Hex(...pieces: readonly Uint8Array[]): Promise<string> {
  return toHex(await sha256(...pieces));
}

/** `size` random bytes in hex: salts, epochs, names. */
export function randomHex(size: number): string {
  return toHex(crypto.getRandomValues(new Uint8Array(size)));
}
