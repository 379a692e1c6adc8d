// Canonical JSON: the restricted profile of RFC 8785 that every signed byte uses.
//
// Implements docs/protocol.md §4.1. Refuses what two implementations could write differently.
import { fromUtf8, utf8, type Bytes } from "./bytes";
import { EvidenceError } from "./errors";

export type Json = string | number | boolean | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

const MAX_DEPTH = 32;
const LONE_SURROGATE = /\p{Surrogate}/u;
const BEYOND_ASCII = /[^\x00-\x7f]/;

/** The one canonical encoding of `value`, as UTF-8. */
export function dump(value: Json): Bytes {
  return utf8(dumpText(value));
}

/** Like `dump`, as text. */
export function dumpText(value: Json): string {
  check(value, 0);
  return encode(value);
}

/** The value of `bytes`, which must be canonical to the last byte. */
export function load(bytes: Uint8Array): Json {
  let text: string;
  let value: unknown;
  try {
    text = fromUtf8(bytes);
    value = JSON.parse(text);
  } catch {
    throw refusal("not JSON in UTF-8");
  }
  check(value, 0);
  // Encoding again refuses foreign spellings, doubled keys, and all that JSON.parse mends.
  if (encode(value) !== text) throw refusal("not the canonical encoding");
  return value;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function encode(value: Json): string {
  if (isList(value)) return `[${value.map(encode).join(",")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  // Keys are ASCII: the order of UTF-16 units, by which sort() goes, is that of bytes.
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, one]) => `${JSON.stringify(key)}:${encode(one)}`).join(",")}}`;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function check(value: unknown, depth: number): asserts value is Json {
  switch (typeof value) {
    case "boolean":
      return;
    case "string":
      if (LONE_SURROGATE.test(value)) throw refusal("a lone surrogate");
      return;
    case "number":
      if (!Number.isSafeInteger(value)) throw refusal("a number with a fraction, or beyond 2^53");
      return;
    case "object":
      break;
    default:
      throw refusal(`a ${typeof value}, which the profile does not know`);
  }
  if (value === null) throw refusal("null");
  if (depth >= MAX_DEPTH) throw refusal(`nested deeper than ${MAX_DEPTH}`);
  if (Array.isArray(value)) {
    for (const one of value) check(one, depth + 1);
    return;
  }
  for (const [key, one] of Object.entries(value)) {
    if (BEYOND_ASCII.test(key)) throw refusal("a key outside ASCII");
    check(one, depth + 1);
  }
}

function refusal(reason: string): EvidenceError {
  return new EvidenceError("journal.not_canonical", reason);
}
