// Bytes and their spellings: only lowercase hex and the one base64 of each kind are read.

/** Something is not of the form that it should have; the message is the reason. */
class Refused extends Error {}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();

function refuse(reason) {
  throw new Refused(reason);
}

function utf8(text) {
  return ENCODER.encode(text);
}

function fromUtf8(bytes) {
  try {
    return UTF8.decode(bytes);
  } catch {
    return refuse("not UTF-8");
  }
}

function toHex(bytes) {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}

function fromHex(text, size) {
  if (typeof text !== "string" || !/^(?:[0-9a-f]{2})*$/.test(text)) refuse("not lowercase hex");
  if (text.length !== 2 * size) refuse(`not ${size} bytes in hex`);
  const bytes = new Uint8Array(size);
  for (let place = 0; place < size; place++) {
    bytes[place] = parseInt(text.substr(2 * place, 2), 16);
  }
  return bytes;
}

function toBase64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text) {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4) refuse("not base64");
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return toBase64(bytes) === text ? bytes : refuse("not base64");
}

function fromBase64url(text) {
  if (typeof text !== "string" || !/^[A-Za-z0-9_-]*$/.test(text)) refuse("not base64url");
  const padded = text.replace(/-/g, "+").replace(/_/g, "/") + "===".slice((text.length + 3) % 4);
  return fromBase64(padded);
}

function toBase64url(bytes) {
  return toBase64(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

function concat(...pieces) {
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let place = 0;
  for (const piece of pieces) {
    joined.set(piece, place);
    place += piece.length;
  }
  return joined;
}

function same(left, right) {
  return left.length === right.length && left.every((byte, place) => byte === right[place]);
}

/** An integer of big-endian (or little-endian) bytes. */
function toInteger(bytes, little = false) {
  return BigInt("0x" + (toHex(little ? Uint8Array.from(bytes).reverse() : bytes) || "0"));
}
