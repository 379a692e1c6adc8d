// A journal's head as people pass it on: read aloud and typed, or scanned (docs/protocol.md §4.1).

/** Crockford's alphabet: no I, L, O, U, so a code survives being read aloud. */
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE_LENGTH = 20;
const SCANNED =
  /^LIUHEN-HEAD\/1:([0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}):([0-9A-F]{32}):([0-9]{1,15}):([0-9A-F]{64})$/;

/** A head as typed: which line, and the first 100 bits of its digest. */
export interface ShortHead {
  readonly seq: number;
  readonly code: string;
}

/** A head as scanned. */
export interface FullHead {
  readonly device: string;
  readonly epoch: string;
  readonly seq: number;
  readonly head: string;
}

/** What was typed or scanned is no head; `foreign` are the characters that no code has. */
export class Mistyped extends Error {
  constructor(
    readonly count: number,
    readonly foreign: string,
  ) {
    super(`${count} characters, of them foreign "${foreign}"`);
    this.name = "Mistyped";
  }
}

/** The first 100 bits of a hexadecimal `digest` as 20 characters. */
export function codeOf(digest: string): string {
  const bits = BigInt(`0x${digest.slice(0, (CODE_LENGTH * 5) / 4)}`);
  return Array.from({ length: CODE_LENGTH }, (_, place) => {
    const shift = BigInt(5 * (CODE_LENGTH - 1 - place));
    return ALPHABET[Number((bits >> shift) & 31n)] ?? "";
  }).join("");
}

/** A code as issued, from however a person typed it: case, spaces, hyphens, O, I and L. */
export function normalise(typed: string): string {
  const read = typed.replace(/[\s-]/g, "").toUpperCase();
  return read.replace(/O/g, "0").replace(/[IL]/g, "1");
}

/** The short form of a head: `412-7ZK3M-0Q9XT-4B1RD-V8HWC`. */
export function spell(seq: number, digest: string): string {
  return [String(seq), ...(codeOf(digest).match(/.{5}/g) ?? [])].join("-");
}

/** The long form of a head, in the characters that a QR code packs best. */
export function spellFull(head: FullHead): string {
  return `LIUHEN-HEAD/1:${head.device}:${head.epoch}:${head.seq}:${head.head}`.toUpperCase();
}

/** Read either form, typed or scanned. */
export function parseHead(text: string): ShortHead | FullHead {
  const scanned = SCANNED.exec(text.trim().toUpperCase());
  if (scanned !== null) {
    const [, device = "", epoch = "", seq = "", head = ""] = scanned;
    return {
      device: device.toLowerCase(),
      epoch: epoch.toLowerCase(),
      seq: Number(seq),
      head: head.toLowerCase(),
    };
  }
  const [number = "", ...rest] = text.trim().split("-");
  const seq = normalise(number);
  const code = normalise(rest.join("-"));
  const foreign = [...code].filter((letter) => !ALPHABET.includes(letter)).join("");
  if (foreign !== "" || code.length !== CODE_LENGTH || !/^[0-9]{1,15}$/.test(seq)) {
    throw new Mistyped([...code].length, foreign);
  }
  return { seq: Number(seq), code };
}
