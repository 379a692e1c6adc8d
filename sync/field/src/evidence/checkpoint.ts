// C2SP tlog-checkpoint: origin, tree size and root of the server's ledger.
import { fromBase64, toHex, type Bytes } from "./bytes";
import { EvidenceError } from "./errors";
import type { Anchor } from "./line";

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Bytes;
}

export function parseCheckpoint(text: string): Checkpoint {
  const rows = text.split("\n");
  const [origin = "", size = "", root = ""] = rows;
  if (rows.length < 4 || rows.at(-1) !== "" || !rows.slice(0, -1).every((row) => row !== "")) {
    throw malformed("a checkpoint has at least three lines, none empty");
  }
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(size)) throw malformed("a tree size is a decimal number");
  const bytes = readRoot(root);
  if (bytes.length !== 32) throw malformed("a root of 32 bytes");
  return { origin, size: Number(size), root: bytes };
}

export function anchorOf(checkpoint: Checkpoint): Anchor {
  return { origin: checkpoint.origin, size: checkpoint.size, root: toHex(checkpoint.root) };
}

function readRoot(text: string): Bytes {
  try {
    return fromBase64(text);
  } catch {
    throw malformed("a root in base64");
  }
}

function malformed(reason: string): EvidenceError {
  return new EvidenceError("note.malformed", reason);
}
