// The single values of the local database, each with its type.
import type { Bytes } from "../evidence/bytes";
import type { DeviceKey } from "../evidence/p256";
import type { Transaction } from "./idb";

/** Who this device is and whom it trusts; the keys are C2SP verifier keys, pinned at enrolment. */
export interface Enrolment {
  readonly device: string;
  readonly name: string;
  readonly keyId: string;
  readonly organization: string;
  readonly organizationName: string;
  readonly origin: string;
  readonly generation: number;
  readonly receiptKey: string;
  readonly ledgerKey: string;
}

/** How the key of the bytes at rest is wrapped. */
export interface VaultRow {
  readonly salt: Bytes;
  readonly iterations: number;
  readonly iv: Bytes;
  readonly wrapped: ArrayBuffer;
}

/** Who is unlocked on this device. */
export interface SessionRow {
  readonly officer: string;
  readonly session: string;
  readonly certificateNo: string;
}

/** An enrolment under way: the same code is tried again with the same device and key. */
export interface AttemptRow {
  readonly codeDigest: string;
  readonly device: string;
  readonly key: DeviceKey;
  readonly sent: boolean;
}

export interface Meta {
  readonly enrolment: Enrolment;
  readonly key: DeviceKey;
  readonly enrolling: AttemptRow;
  readonly vault: VaultRow;
  readonly sessions: readonly SessionRow[];
  /** The newest checkpoint that was verified, as a signed note. */
  readonly checkpoint: string;
  readonly feedCursor: string;
  readonly outcomesCursor: string;
  readonly lastSyncMs: number;
}

export async function getMeta<K extends keyof Meta>(
  transaction: Transaction,
  name: K,
): Promise<Meta[K] | undefined> {
  const row = await transaction.get("meta", name);
  return row?.value as Meta[K] | undefined;
}

export function putMeta<K extends keyof Meta>(
  transaction: Transaction,
  name: K,
  value: Meta[K],
): void {
  transaction.put("meta", { name, value });
}
