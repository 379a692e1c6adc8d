// Taking in a picture: its bytes and the signed line that announces them, or neither.
import { same, sha256Hex, type Bytes } from "../evidence/bytes";
import type { JsonObject } from "../evidence/canonical";
import type { Act, Line } from "../evidence/line";
import type { Clock } from "./clock";
import { withExif, type Position } from "./exif";
import { Failure } from "./failures";
import type { Database } from "./idb";
import type { Beside, Journal } from "./journal";
import type { ItemRow, RecordingRow } from "./schema";
import { seal, unseal } from "./vault";

export const SOFTWARE = "Liuhen field 0.1.0";
/** Up to here a file is sent in the fast lane: what the server keeps as one object, too. */
const SMALL_BYTES = 16 << 20;

/** Which way a picture came: our camera, the system's camera, or a file that was there before. */
export type CaptureClass = "A" | "B" | "C";

export interface Capture {
  readonly officer: string;
  readonly inspection: string;
  readonly bytes: Bytes;
  readonly mediaType: string;
  readonly captureClass: CaptureClass;
  readonly name?: string;
  readonly title?: string;
  readonly factToProve?: string;
  readonly method?: string;
  readonly step?: string;
  readonly position?: Position | undefined;
  /** Where a file of class C was taken from: it is then signed as imported. */
  readonly source?: JsonObject;
}

/** What is on the disk: read back, decrypted and digested again. */
export interface Saved {
  readonly item: string;
  readonly sha256: string;
  readonly size: number;
  readonly line: Line;
}

export class Captures {
  constructor(
    private readonly database: Database,
    private readonly journal: Journal,
    private readonly clock: Clock,
  ) {}

  /** Keep a picture; when this answers, "saved" may be shown. */
  async keep(key: CryptoKey, capture: Capture): Promise<Saved> {
    const item = crypto.randomUUID();
    const t = this.clock.read();
    // Only our own camera's pictures are touched, and before anything was digested.
    const bytes =
      capture.captureClass === "A"
        ? withExif(capture.bytes, {
            software: SOFTWARE,
            takenAtMs: t.wall_ms,
            tzMin: t.tz_min,
            item,
            position: capture.position,
          })
        : capture.bytes;
    const sha256 = await sha256Hex(bytes);
    const blob = await seal(key, sha256, bytes);
    const line = await this.journal.append(actOf(capture, item, sha256, bytes.length), [], {
      stores: ["items", "blobs"],
      write: (tx, announced, order) => {
        tx.put("blobs", blob);
        tx.add("items", itemOf(capture, item, announced, order, t.wall_ms));
      },
    });
    await this.readBack(key, sha256, bytes);
    return { item, sha256, size: bytes.length, line };
  }

  /** Announce what a recording has left on the disk; answers its item. */
  async announce(
    row: RecordingRow,
    file: { readonly sha256: string; readonly size: number },
    more: JsonObject = {},
  ): Promise<string> {
    const item = crypto.randomUUID();
    const { officer, inspection, mediaType, recording } = row;
    const name = `${row.kind}-${recording.slice(0, 8)}.${mediaType.split("/")[1] ?? "bin"}`;
    const capture: Capture = {
      officer,
      inspection,
      bytes: new Uint8Array(),
      mediaType,
      captureClass: "A",
      name,
    };
    const act = { ...more, ...actOf(capture, item, file.sha256, file.size), recording };
    await this.journal.append(act, [], {
      stores: ["items", "recordings"],
      write: (tx, line, order) => {
        tx.add("items", { ...itemOf(capture, item, line, order, row.startedAtMs), recording });
        tx.put("recordings", { ...row, item });
      },
    });
    return item;
  }

  /** Withdraw an item with a reason; its bytes stay until they are delivered. */
  async discard(item: string, officer: string, reason: string): Promise<Line> {
    const row = await this.database.read(["items"], (tx) => tx.get("items", item));
    const inspection = row?.inspection ?? "";
    const beside: Beside = {
      stores: ["items"],
      write: async (tx) => {
        const now = await tx.get("items", item);
        if (now !== undefined) tx.put("items", { ...now, discarded: true });
      },
    };
    const act = { type: "media.discarded", officer, inspection, item, reason };
    return this.journal.append(act, [], beside);
  }

  /** The bytes of an item as they were taken in. */
  async bytesOf(key: CryptoKey, sha256: string): Promise<Bytes> {
    const blob = await this.database.read(["blobs"], (tx) => tx.get("blobs", sha256));
    if (blob === undefined) throw new Failure("vault.damaged", `no bytes of ${sha256}`);
    return unseal(key, blob);
  }

  private async readBack(key: CryptoKey, sha256: string, bytes: Bytes): Promise<void> {
    const kept = await this.bytesOf(key, sha256);
    if (!same(kept, bytes)) throw new Failure("storage.unconfirmed", sha256);
  }
}

function actOf(capture: Capture, item: string, sha256: string, size: number): Act {
  const optional: Record<string, string | JsonObject | undefined> = {
    name: capture.name,
    title: capture.title,
    fact_to_prove: capture.factToProve,
    method: capture.method,
    step: capture.step,
    pos: capture.position === undefined ? undefined : { ...capture.position },
  };
  const given = Object.entries(optional).filter(([, value]) => value !== undefined && value !== "");
  return {
    ...(Object.fromEntries(given) as JsonObject),
    ...(capture.source === undefined ? {} : { source: capture.source }),
    type: capture.source === undefined ? "media.captured" : "media.imported",
    officer: capture.officer,
    inspection: capture.inspection,
    item,
    sha256,
    size,
    media_type: capture.mediaType,
    class: capture.captureClass,
  };
}

function itemOf(
  capture: Capture,
  item: string,
  line: Line,
  order: number,
  takenAtMs: number,
): ItemRow {
  const { sha256, size } = line.act as unknown as { sha256: string; size: number };
  return {
    item,
    inspection: capture.inspection,
    sha256,
    size,
    mediaType: capture.mediaType,
    captureClass: capture.captureClass,
    name: capture.name ?? "",
    title: capture.title ?? "",
    takenAtMs,
    epoch: line.header.epoch,
    seq: line.header.seq,
    state: "local",
    lane: size <= SMALL_BYTES ? 0 : 1,
    order,
    discarded: false,
  };
}
