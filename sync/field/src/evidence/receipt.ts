// The server's signed receipt (入库凭证) for a contiguous range of lines (docs/protocol.md §4.2).
import { EvidenceError } from "./errors";

const TEXTS = ["origin", "device", "epoch", "branch", "last_digest", "clock"] as const;
const NUMBERS = ["generation", "first_seq", "last_seq", "first_index", "server_ms"] as const;
const ORDER = [
  "origin",
  "generation",
  "device",
  "epoch",
  "branch",
  "first_seq",
  "last_seq",
  "last_digest",
  "first_index",
  "server_ms",
  "clock",
] as const;

/** `branch` is empty on the main chain, else the digest of the first divergent line. */
export type Receipt = Readonly<
  Record<(typeof TEXTS)[number], string> & Record<(typeof NUMBERS)[number], number>
>;

export function parseReceipt(text: string): Receipt {
  const rows = text.split("\n");
  if (rows.length !== ORDER.length + 2 || rows[0] !== "liuhen/receipt/v1" || rows.at(-1) !== "") {
    throw malformed("not a receipt of this version");
  }
  const values = new Map<string, string>();
  ORDER.forEach((name, place) => {
    const row = rows[place + 1] ?? "";
    const value = row.startsWith(`${name} `) ? row.slice(name.length + 1) : "";
    if (value === "") throw malformed(`receipt.${name}: missing`);
    values.set(name, value);
  });
  const word = (name: (typeof TEXTS)[number]): string => values.get(name) ?? "";
  const number = (name: (typeof NUMBERS)[number]): number => {
    const value = values.get(name) ?? "";
    if (!/^(?:0|[1-9][0-9]{0,15})$/.test(value)) throw malformed(`receipt.${name}: a whole number`);
    return Number(value);
  };
  return {
    origin: word("origin"),
    generation: number("generation"),
    device: word("device"),
    epoch: word("epoch"),
    branch: word("branch") === "-" ? "" : word("branch"),
    first_seq: number("first_seq"),
    last_seq: number("last_seq"),
    last_digest: word("last_digest"),
    first_index: number("first_index"),
    server_ms: number("server_ms"),
    clock: word("clock"),
  };
}

function malformed(reason: string): EvidenceError {
  return new EvidenceError("journal.malformed", reason);
}
