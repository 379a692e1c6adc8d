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
  /** The ledgers that the present one took over from: their receipts stay good for their lines. */
  readonly earlier?: readonly EarlierLedger[];
  /** Ledger keys before `ledgerKey`: what they signed is kept, not believed anew. */
  readonly earlierLedgerKeys?: readonly string[];
}

export interface EarlierLedger {
  readonly origin: string;
  readonly generation: number;
  readonly receiptKey: string;
}

/** How the key of the bytes at rest is wrapped. */
export interface VaultRow {
  readonly salt: Bytes;
  readonly iterations: number;
  readonly iv: Bytes;
  readonly wrapped: ArrayBuffer;
}

/** What was last seen of a ledger that ended, beside what the next one says about it. */
export interface NoticeRow {
  readonly generation: number;
  readonly kept: string;
  /** The server's answer, as JSON. */
  readonly generations: string;
  readonly atMs: number;
}

export interface WipedRow {
  readonly device: string;
  readonly name: string;
  readonly organization: string;
  readonly origin: string;
  readonly wipedAtMs: number;
  readonly epochs: readonly {
    readonly epoch: string;
    readonly lastSeq: number;
    readonly head: string;
  }[];
  readonly receipts: readonly string[];
}

/** Who is unlocked on this device. */
export interface SessionRow {
  readonly officer: string;
  readonly session: string;
  readonly certificateNo: string;
  readonly method?: string;
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
  /** How this device stands, as the server said last. */
  readonly standing: "active" | "revoked" | "wipe";
  readonly documentsComparedMs: number;
  /** Codes of lines that the last sync could not bring on. */
  readonly stuck: readonly string[];
  readonly notices: readonly NoticeRow[];
  /** Set with the line `device.wiped`: from then on this phone empties itself. */
  readonly wiping: true;
  /** All that is left of a device that was wiped. */
  readonly wiped: WipedRow;
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
