// Errors of the evidence formats; their codes are those of docs/errors.md, the same on every side.

export type EvidenceCode =
  | "journal.bad_encoding"
  | "evidence.key_malformed"
  | "journal.not_canonical"
  | "journal.malformed"
  | "journal.line_too_long"
  | "journal.part_mismatch"
  | "journal.bad_signature"
  | "journal.chain_broken"
  | "journal.gap"
  | "note.malformed"
  | "note.unsigned"
  | "note.forged"
  | "ledger.proof_invalid"
  | "fork.unproved";

/** Something is not what a format demands; `message` is the reason, for people who look closely. */
export class EvidenceError extends Error {
  constructor(
    readonly code: EvidenceCode,
    reason: string,
  ) {
    super(reason);
    this.name = "EvidenceError";
  }
}
