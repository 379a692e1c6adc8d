// What can go wrong in the engine, each with a code for which the catalogue has a sentence.

export const FAILURE_CODES = [
  "storage.full",
  "storage.lost",
  "storage.blocked",
  "storage.unconfirmed",
  "vault.wrong_pin",
  "vault.locked",
  "vault.damaged",
  "journal.not_enrolled",
  "journal.busy",
  "journal.refused",
  "journal.forked",
  "journal.lost",
  "journal.stuck",
  "journal.quarantined",
  "link.unreachable",
  "link.captive_portal",
  "link.unavailable",
  "link.refused",
  "trust.receipt_invalid",
  "trust.checkpoint_invalid",
  "trust.generation_changed",
  "trust.ledger_forked",
  "trust.ledger_restored",
  "media.refused",
  "clock.implausible",
  "clock.set_back",
  "device.revoked",
  "device.wiped",
  "enrolment.unclear",
  "enrolment.already_done",
  "camera.unavailable",
  "camera.denied",
  "recording.unavailable",
  "recording.failed",
  "seal.too_large",
] as const;

export type FailureCode = (typeof FAILURE_CODES)[number];

/** `detail` is for people who look closely; `status` and `problem` are the server's, if it spoke. */
export class Failure extends Error {
  readonly status: number;
  readonly problem: string;

  constructor(
    readonly code: FailureCode,
    detail = "",
    more: { readonly status?: number; readonly problem?: string; readonly cause?: unknown } = {},
  ) {
    super(detail === "" ? code : `${code}: ${detail}`, { cause: more.cause });
    this.name = "Failure";
    this.status = more.status ?? 0;
    this.problem = more.problem ?? "";
  }
}

export function isFailure(error: unknown, ...codes: readonly FailureCode[]): error is Failure {
  return error instanceof Failure && (codes.length === 0 || codes.includes(error.code));
}
