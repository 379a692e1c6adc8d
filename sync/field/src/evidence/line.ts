// One journal line: the unit of evidence, its exact bytes, digest and signature input.
//
// Implements docs/protocol.md §4.1. The signature covers only the header, which carries the
// digest of each part, so that any part can be withheld later and all signatures still verify.
import { concat, fromBase64url, fromUtf8, randomHex, sha256Hex, toBase64url, utf8 } from "./bytes";
import type { Bytes } from "./bytes";
import { dump, dumpText, isObject, load, type JsonObject } from "./canonical";
import { EvidenceError } from "./errors";
import { importSpki, isInRange, sign, verify } from "./p256";

export const GENESIS = "0".repeat(64);
export const PAYLOAD_TYPE = "application/vnd.liuhen.journal+json";
export const MAX_LINE_BYTES = 65_536;
const VERSION = "1.p256.sha256";
const MAX_PARTS = 64;
const DIGEST = /^[0-9a-f]{64}$/;
const HEADER = ["device", "epoch", "parts", "prev", "seq", "t", "v"];

/** What the device's clocks said; `mono_ms` counts from `boot`, `tz_min` is minutes east of UTC. */
export interface DeviceTime {
  readonly wall_ms: number;
  readonly mono_ms: number;
  readonly boot: string;
  readonly tz_min: number;
}

/** A checkpoint of the server's ledger that the device had verified. */
export interface Anchor {
  readonly origin: string;
  readonly size: number;
  readonly root: string;
}

export interface Header {
  readonly v: string;
  readonly device: string;
  readonly epoch: string;
  readonly seq: number;
  readonly prev: string;
  readonly t: DeviceTime;
  readonly parts: readonly string[];
  readonly anchor?: Anchor;
}

/** A part without its salt, which is drawn when the line is built; the first one is the act. */
export type Part = JsonObject;
export type Act = JsonObject & { readonly type: string };

export interface Line {
  readonly header: Header;
  /** The exact bytes of `e`, which the signature covers. */
  readonly headerBytes: Bytes;
  readonly keyId: string;
  readonly signature: Bytes;
  readonly act: Act;
  readonly parts: readonly Part[];
  /** Of the line without `b`: what the next line's `prev` is. */
  readonly digest: string;
  /** The line as it is pushed, without a newline. */
  readonly raw: Bytes;
}

export interface Place {
  readonly device: string;
  readonly epoch: string;
  readonly seq: number;
  readonly prev: string;
}

/** Build and sign one line of `parts`, of which the first is the act. */
export async function buildLine(
  parts: readonly Part[],
  place: Place,
  t: DeviceTime,
  key: { readonly privateKey: CryptoKey; readonly keyId: string },
  anchor?: Anchor,
): Promise<Line> {
  const bodies = parts.map((part) => dump({ ...part, salt: randomHex(16) }));
  const header: Header = {
    v: VERSION,
    ...place,
    t,
    parts: await Promise.all(bodies.map((body) => sha256Hex(body))),
    ...(anchor === undefined ? {} : { anchor }),
  };
  const headerBytes = dump(header as unknown as JsonObject);
  const signature = await sign(key.privateKey, preAuthenticationEncoding(PAYLOAD_TYPE, headerBytes));
  const b = bodies.map((body) => fromUtf8(body)).join(",");
  const signed = signedText(headerBytes, key.keyId, signature);
  // Whatever was built is read as the server will read it.
  return parseLine(utf8(`{"b":[${b}],${signed.slice(1)}`));
}

/** Parse one line and check everything but its signature and place. */
export async function parseLine(raw: Bytes): Promise<Line> {
  if (raw.length > MAX_LINE_BYTES) {
    throw new EvidenceError("journal.line_too_long", `${raw.length} bytes`);
  }
  const value = load(raw);
  if (!isObject(value) || !hasNames(value, ["b", "e", "k", "s"])) {
    throw malformed("line: exactly b, e, k and s");
  }
  const { b, k } = value;
  if (!Array.isArray(b)) throw malformed("b: a list of parts");
  if (typeof k !== "string" || !DIGEST.test(k)) throw malformed("k: a SHA-256 in lowercase hex");
  const header = checkHeader(value["e"]);
  const signature = readSignature(value["s"]);
  if (b.length !== header.parts.length) throw malformed("parts: as many digests as parts");
  const parts = await Promise.all(
    b.map((part: unknown, place) => checkPart(part, place, header.parts[place] ?? "")),
  );
  const headerBytes = dump(header as unknown as JsonObject);
  return {
    header,
    headerBytes,
    keyId: k,
    signature,
    act: parts[0] as Act,
    parts,
    digest: await sha256Hex(utf8(signedText(headerBytes, k, signature))),
    raw,
  };
}

/** Refuse a line that the key of `spki` has not signed. */
export async function checkSignature(line: Line, spki: Bytes): Promise<void> {
  const message = preAuthenticationEncoding(PAYLOAD_TYPE, line.headerBytes);
  if (!(await verify(await importSpki(spki), message, line.signature))) {
    throw new EvidenceError("journal.bad_signature", `key ${line.keyId.slice(0, 12)}`);
  }
}

/** The DSSE pre-authentication encoding: binds a signature to what it is for. */
export function preAuthenticationEncoding(type: string, payload: Uint8Array): Bytes {
  return concat(utf8(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload);
}

function signedText(headerBytes: Bytes, keyId: string, signature: Bytes): string {
  return `{"e":${fromUtf8(headerBytes)},"k":"${keyId}","s":"${toBase64url(signature)}"}`;
}

function readSignature(value: unknown): Bytes {
  let signature: Bytes | null = null;
  try {
    signature = typeof value === "string" ? fromBase64url(value) : null;
  } catch {
    signature = null;
  }
  if (signature === null || !isInRange(signature)) {
    throw malformed("s: r and s in range, s in the lower half");
  }
  return signature;
}

async function checkPart(part: unknown, place: number, digest: string): Promise<Part> {
  if (!isObject(part)) throw malformed("b: each part is an object");
  const { salt, type } = part;
  if (typeof salt !== "string" || !/^[0-9a-f]{32}$/.test(salt)) throw malformed("b: a salt");
  if (place === 0 && (typeof type !== "string" || !type || [...type].length > 64)) {
    throw malformed("b: the act has a type");
  }
  const known = part as Part;
  if ((await sha256Hex(utf8(dumpText(known)))) !== digest) {
    throw new EvidenceError("journal.part_mismatch", `part ${place}`);
  }
  return known;
}

function checkHeader(e: unknown): Header {
  if (!isObject(e)) throw malformed("e: an object");
  const names = Object.hasOwn(e, "anchor") ? ["anchor", ...HEADER] : HEADER;
  if (!hasNames(e, names)) throw malformed("e: exactly the header's fields");
  if (e["v"] !== VERSION) throw malformed("v: an unknown version");
  checkForm(e, "device", /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  checkForm(e, "epoch", /^[0-9a-f]{32}$/);
  checkForm(e, "prev", DIGEST);
  checkWhole(e, "seq");
  const { parts, t, anchor } = e;
  if (!Array.isArray(parts) || parts.length < 1 || parts.length > MAX_PARTS) {
    throw malformed(`parts: between 1 and ${MAX_PARTS} digests`);
  }
  if (!parts.every((part) => typeof part === "string" && DIGEST.test(part))) {
    throw malformed("parts: SHA-256 digests in lowercase hex");
  }
  if (!isObject(t) || !hasNames(t, ["boot", "mono_ms", "tz_min", "wall_ms"])) {
    throw malformed("t: exactly wall_ms, mono_ms, boot and tz_min");
  }
  if (typeof t["wall_ms"] !== "number" || typeof t["tz_min"] !== "number") {
    throw malformed("t: integers");
  }
  checkWhole(t, "mono_ms");
  checkForm(t, "boot", /^[!-~]{1,64}$/);
  if (names !== HEADER) checkAnchor(anchor);
  return e as unknown as Header;
}

function checkAnchor(anchor: unknown): void {
  if (!isObject(anchor) || !hasNames(anchor, ["origin", "root", "size"])) {
    throw malformed("anchor: exactly origin, size and root");
  }
  const { origin } = anchor;
  if (typeof origin !== "string" || !origin || [...origin].length > 255) {
    throw malformed("anchor.origin: a name");
  }
  checkWhole(anchor, "size");
  checkForm(anchor, "root", DIGEST);
}

function hasNames(value: Readonly<Record<string, unknown>>, names: readonly string[]): boolean {
  return Object.keys(value).sort().join() === names.join();
}

function checkForm(value: Readonly<Record<string, unknown>>, name: string, form: RegExp): void {
  const text = value[name];
  if (typeof text !== "string" || !form.test(text)) throw malformed(`${name}: of another form`);
}

function checkWhole(value: Readonly<Record<string, unknown>>, name: string): void {
  const number = value[name];
  if (typeof number !== "number" || number < 0) throw malformed(`${name}: a whole number from 0`);
}

function malformed(reason: string): EvidenceError {
  return new EvidenceError("journal.malformed", reason);
}
