// The local database: what each row holds, and how one version becomes the next.
import type { Bytes } from "../evidence/bytes";
import type { Json } from "../evidence/canonical";

export const DATABASE = "liuhen-field";

/** One value by its name; which names there are stands in `meta.ts`. */
export interface MetaRow {
  readonly name: string;
  readonly value: unknown;
}

/** A chain of this device; the one with the greatest `order` is written to. */
export interface EpochRow {
  readonly epoch: string;
  readonly order: number;
  readonly keyId: string;
  readonly nextSeq: number;
  /** Digest of the last line. */
  readonly head: string;
}

/**
 * `kept`: on this phone only, as far as anything proves. `safe`: a verified receipt covers it.
 * `refused`: the server has no place for it, and `stranded`: it stands behind such a line; both
 * wait to be said again. `restated`: a later line says it. `lost`: nothing can say it again.
 */
export type LineState = "kept" | "safe" | "refused" | "stranded" | "restated" | "lost";

/** Lines that exist nowhere else, as far as anything proves. */
export const ONLY_HERE: readonly LineState[] = ["kept", "refused", "stranded", "lost"];

export interface LineRow {
  readonly epoch: string;
  readonly seq: number;
  readonly digest: string;
  readonly raw: Bytes;
  readonly type: string;
  /** Empty where the act belongs to none. */
  readonly inspection: string;
  readonly state: LineState;
  /** What the server answered: journal and projection outcome, and the code that explains it. */
  readonly journal: string;
  readonly projection: string;
  readonly code: string;
  /** What a reviewer decided, `released` or `kept`, and why; empty where nobody has. */
  readonly decision?: string;
  readonly reason?: string;
  /** Digest of the line that says it again. */
  readonly restatedBy?: string;
}

/** `local`: bytes on this phone only. `stored`: the server says that it asks for them no more. */
export type ItemState = "local" | "stored";

export interface ItemRow {
  readonly item: string;
  readonly inspection: string;
  readonly sha256: string;
  readonly size: number;
  readonly mediaType: string;
  readonly captureClass: "A" | "B" | "C";
  readonly name: string;
  readonly title: string;
  readonly takenAtMs: number;
  /** The line that announces it. */
  readonly epoch: string;
  readonly seq: number;
  readonly state: ItemState;
  /** Small things go first, then the oldest. */
  readonly lane: 0 | 1;
  readonly order: number;
  readonly discarded: boolean;
  /** It was stored before the ledger had this many entries, so a backup of so many holds it. */
  readonly storedBefore?: { readonly generation: number; readonly index: number };
  /** When its local copy was given up. */
  readonly freedAtMs?: number;
  /** The recording that it came of: its bytes lie in frames of that name, not among the blobs. */
  readonly recording?: string;
}

/** A recording whose end is not signed yet; `item` once its file is announced. */
export interface RecordingRow {
  readonly recording: string;
  readonly inspection: string;
  readonly officer: string;
  readonly kind: "video" | "audio";
  readonly mediaType: string;
  readonly startedAtMs: number;
  readonly item: string;
}

/** The bytes of an item under AES-GCM, with `sha256` as additional data. */
export interface BlobRow {
  readonly sha256: string;
  readonly size: number;
  readonly iv: Bytes;
  readonly sealed: ArrayBuffer;
}

/** How far an upload has come; `notBeforeMs` is the next try after a failure. */
export interface UploadRow {
  readonly sha256: string;
  readonly location: string;
  readonly offset: number;
  readonly failures: number;
  readonly notBeforeMs: number;
  readonly problem: string;
}

export interface ReceiptRow {
  readonly note: string;
  readonly epoch: string;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

export interface DocumentRow {
  readonly kind: string;
  readonly id: string;
  readonly body: Json;
  /** Not this device's any more; goes when nothing unsent may need it. */
  readonly evicted: boolean;
}

/** Two notes of the server's ledger that contradict each other. */
export interface AlarmRow {
  readonly kept: string;
  readonly got: string;
  readonly reason: string;
  readonly atMs: number;
  /** With what the larger tree begins instead, where the server gave that away. */
  readonly start?: { readonly root: string; readonly path: readonly string[] };
  /** Whether this makes a fork proof that anyone can check (docs/evidence.md §5). */
  readonly proved?: boolean;
}

export interface MigrationRow {
  readonly version: number;
  readonly atMs: number;
}

export interface Rows {
  readonly meta: MetaRow;
  readonly epochs: EpochRow;
  readonly lines: LineRow;
  readonly items: ItemRow;
  readonly blobs: BlobRow;
  readonly recordings: RecordingRow;
  readonly uploads: UploadRow;
  readonly receipts: ReceiptRow;
  readonly documents: DocumentRow;
  readonly alarms: AlarmRow;
  readonly migrations: MigrationRow;
}

export type StoreName = keyof Rows;

export interface Migration {
  readonly version: number;
  apply(database: IDBDatabase, transaction: IDBTransaction): void;
}

/** Released versions are never changed; a later one is added behind them. */
export const MIGRATIONS: readonly Migration[] = [{ version: 1, apply: first }];

function first(database: IDBDatabase): void {
  database.createObjectStore("meta", { keyPath: "name" });
  database.createObjectStore("epochs", { keyPath: "epoch" }).createIndex("order", "order", {
    unique: true,
  });
  const lines = database.createObjectStore("lines", { keyPath: ["epoch", "seq"] });
  lines.createIndex("digest", "digest", { unique: true });
  lines.createIndex("state", ["state", "epoch", "seq"]);
  lines.createIndex("inspection", "inspection");
  lines.createIndex("type", "type");
  const items = database.createObjectStore("items", { keyPath: "item" });
  items.createIndex("inspection", "inspection");
  items.createIndex("sha256", "sha256");
  items.createIndex("waiting", ["state", "lane", "order"]);
  database.createObjectStore("blobs", { keyPath: "sha256" });
  database.createObjectStore("recordings", { keyPath: "recording" });
  database.createObjectStore("uploads", { keyPath: "sha256" });
  database.createObjectStore("receipts", { keyPath: "note" }).createIndex("place", [
    "epoch",
    "lastSeq",
  ]);
  database.createObjectStore("documents", { keyPath: ["kind", "id"] }).createIndex("kind", "kind");
  database.createObjectStore("alarms", { autoIncrement: true });
  database.createObjectStore("migrations", { keyPath: "version" });
}
