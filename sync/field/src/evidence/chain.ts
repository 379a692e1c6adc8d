// The chain of one epoch: each line names the one before it (docs/protocol.md §4.1).
import { EvidenceError } from "./errors";
import { GENESIS, type Line } from "./line";

/** Where a chain stands: the next line's number, and the digest that it must name. */
export interface Head {
  readonly seq: number;
  readonly prev: string;
}

export const START: Head = { seq: 0, prev: GENESIS };

/** Walk `lines`, oldest first, and answer where the chain stands behind them. */
export function followChain(lines: Iterable<Line>, from: Head = START): Head {
  let head = from;
  for (const { header, digest } of lines) {
    if (header.seq !== head.seq) {
      throw new EvidenceError("journal.gap", `expected ${head.seq}, got ${header.seq}`);
    }
    if (header.prev !== head.prev) {
      throw new EvidenceError("journal.chain_broken", `line ${header.seq} names another line`);
    }
    head = { seq: header.seq + 1, prev: digest };
  }
  return head;
}
