// Sound and film: one-second slices on the disk as they come, signed when begun and when ended.
//
// A kill costs what the newest slice did not hold yet. What lies on the disk is made an item at
// the next start, by a line that says so; nobody has to remember that there was a recording.
import type { JsonObject } from "../evidence/canonical";
import type { Line } from "../evidence/line";
import type { Captures } from "./capture";
import type { Clock } from "./clock";
import { Failure } from "./failures";
import {
  frameFiles,
  FrameReader,
  lastWrittenMs,
  removeFrames,
  type FromRecordWorker,
  type ToRecordWorker,
} from "./frames";
import type { Database } from "./idb";
import type { Journal } from "./journal";
import type { ItemRow, RecordingRow } from "./schema";

const SLICE_MS = 1_000;
const STOP_TIMEOUT_MS = 10_000;
/** MP4 first: it says when it was made and how long it plays; WebM of browsers says neither. */
const FORMATS = {
  video: ["video/mp4;codecs=avc1.42E01E,mp4a.40.2", "video/mp4", "video/webm"],
  audio: ["audio/mp4", "audio/webm"],
} as const;

export type RecordingKind = "video" | "audio";
/** Why it ended: by the officer, because a device failed, or with the app itself. */
export type StopReason = "ended" | "fault" | "storage" | "interrupted";

export interface Running {
  readonly row: RecordingRow;
  readonly stream: MediaStream;
  /** Of what was taken, how much is on the disk. */
  keptBytes: number;
}

interface Ended {
  readonly size: number;
  readonly sha256: string;
}

export class Recordings {
  /** Told whenever a recording begins, grows or ends; screens may put themselves here. */
  onChange: () => void = () => undefined;
  private current: (Running & { stop(reason: StopReason): Promise<string> }) | null = null;

  constructor(
    private readonly database: Database,
    private readonly journal: Journal,
    private readonly clock: Clock,
    private readonly captures: Captures,
  ) {}

  get running(): Running | null {
    return this.current;
  }

  /** Begin; when this answers, the signed line is on the disk and slices follow. */
  async start(
    key: CryptoKey,
    given: { officer: string; inspection: string; kind: RecordingKind },
  ): Promise<Running> {
    if (this.current !== null) return this.current;
    const stream = await openStream(given.kind);
    const recorder = recorderFor(stream, given.kind);
    const row: RecordingRow = {
      ...given,
      recording: crypto.randomUUID(),
      mediaType: recorder.mimeType.split(";")[0] ?? `${given.kind}/webm`,
      startedAtMs: this.clock.read().wall_ms,
      item: "",
    };
    const release = await hold(row.recording);
    const writer = new Writer();
    const running = {
      row,
      stream,
      keptBytes: 0,
      stop: (reason: StopReason): Promise<string> => {
        ended ??= this.finish(row, recorder, stream, writer, reason).finally(() => {
          release();
          this.current = null;
          this.onChange();
        });
        return ended;
      },
    };
    let ended: Promise<string> | null = null;
    try {
      await writer.open(row.recording, key);
      const { officer, inspection, recording } = row;
      const act = { type: "recording.started", officer, inspection, recording, media: row.kind };
      await this.journal.append(act, [], {
        stores: ["recordings"],
        write: (tx) => tx.add("recordings", row),
      });
    } catch (error) {
      stopTracks(stream);
      writer.end();
      release();
      throw error;
    }
    recorder.ondataavailable = (event) => writer.add(event.data);
    writer.onKept = (size) => {
      running.keptBytes = size;
      this.onChange();
    };
    const broken = (reason: StopReason) => void running.stop(reason).catch(() => undefined);
    writer.onFailed = (full) => broken(full ? "storage" : "fault");
    recorder.onerror = () => broken("fault");
    // A camera that was unplugged or taken away ends the recording; what was taken stays.
    for (const track of stream.getTracks()) track.onended = () => broken("fault");
    recorder.start(SLICE_MS);
    this.current = running;
    this.onChange();
    return running;
  }

  /** End it; answers the item that came of it, empty if not a byte was recorded. */
  async stop(reason: StopReason = "ended"): Promise<string> {
    return (await this.current?.stop(reason)) ?? "";
  }

  /** Make items of what earlier starts of the app left behind; answers how many. */
  async recover(key: CryptoKey): Promise<number> {
    const left = await this.database.read(["recordings"], (tx) => tx.all("recordings"));
    let recovered = 0;
    for (const row of left) {
      // Whoever holds it is recording in another tab at this moment.
      const done = await ifFree(row.recording, () => this.recoverOne(key, row));
      if (done === true) recovered += 1;
    }
    await sweepFrames(this.database);
    return recovered;
  }

  private async recoverOne(key: CryptoKey, row: RecordingRow): Promise<boolean> {
    if (row.item !== "") {
      await this.close(row, row.item, "interrupted");
      return true;
    }
    const lastMs = await lastWrittenMs(row.recording);
    const ended = lastMs === 0 ? { size: 0, sha256: "" } : await digestOf(key, row.recording);
    const more = { recovered: true, last_slice_ms: lastMs };
    await this.settle(row, ended, "interrupted", more);
    return true;
  }

  private async finish(
    row: RecordingRow,
    recorder: MediaRecorder,
    stream: MediaStream,
    writer: Writer,
    reason: StopReason,
  ): Promise<string> {
    await stopped(recorder);
    stopTracks(stream);
    const ended = await writer.close().finally(() => writer.end());
    return this.settle(row, ended, reason);
  }

  /** The line of the file, then the line that it has ended: a kill in between is found. */
  private async settle(
    row: RecordingRow,
    ended: Ended,
    reason: StopReason,
    more: JsonObject = {},
  ): Promise<string> {
    const item = ended.size === 0 ? "" : await this.captures.announce(row, ended, more);
    await this.close(row, item, reason, more);
    return item;
  }

  private close(
    row: RecordingRow,
    item: string,
    reason: StopReason,
    more: JsonObject = {},
  ): Promise<Line> {
    const { officer, inspection, recording } = row;
    const named = item === "" ? {} : { item };
    const act = { ...more, ...named, type: "recording.stopped", officer, inspection, recording, reason };
    return this.journal.append(act, [], {
      stores: ["recordings"],
      write: (tx) => tx.delete("recordings", recording),
    });
  }
}

/** Delete files of recordings whose local copy was given up, and those in which nothing is. */
export async function sweepFrames(database: Database): Promise<void> {
  for (const [recording, size] of await frameFiles()) {
    await ifFree(recording, async () => {
      const { items, row } = await database.read(["items", "recordings"], async (tx) => ({
        items: (await tx.all("items")).filter((item) => item.recording === recording),
        row: await tx.get("recordings", recording),
      }));
      if (row !== undefined) return;
      const freed = items.length > 0 && items.every((item) => item.freedAtMs !== undefined);
      if (freed || (items.length === 0 && size === 0)) await removeFrames(recording);
    });
  }
}

/** The bytes of an item that was recorded, for playing it. */
export async function recordedBytes(key: CryptoKey, row: ItemRow): Promise<Blob> {
  const reader = await FrameReader.open(key, row.recording ?? "");
  const frames: BlobPart[] = [];
  for (let index = 0; index < reader.count; index++) frames.push(await reader.frame(index));
  return new Blob(frames, { type: row.mediaType });
}

/** The page's side of the writing worker. */
class Writer {
  onKept: (size: number) => void = () => undefined;
  onFailed: (full: boolean) => void = () => undefined;
  private readonly worker = new Worker(new URL("../worker/record.ts", import.meta.url), {
    type: "module",
  });
  private slices: Promise<unknown> = Promise.resolve();
  private answer: ((message: FromRecordWorker) => void) | null = null;
  private failed: Failure | null = null;

  constructor() {
    this.worker.onerror = (event) =>
      this.hear({ kind: "failed", full: false, reason: event.message });
    this.worker.onmessage = (event: MessageEvent<FromRecordWorker>) => this.hear(event.data);
  }

  async open(recording: string, key: CryptoKey): Promise<void> {
    await this.ask({ kind: "open", recording, key });
  }

  add(slice: Blob): void {
    if (slice.size === 0) return;
    this.slices = this.slices.then(async () => {
      const bytes = await slice.arrayBuffer();
      const message: ToRecordWorker = { kind: "slice", slice: bytes };
      this.worker.postMessage(message, [bytes]);
    });
  }

  async close(): Promise<Ended> {
    await this.slices;
    // What was written before a failure counts: its digest is of the whole slices.
    const answer = await this.ask({ kind: "close" });
    if (answer.kind !== "closed") throw new Failure("recording.failed", answer.kind);
    return answer;
  }

  end(): void {
    this.worker.terminate();
  }

  private ask(message: ToRecordWorker): Promise<FromRecordWorker> {
    return new Promise((resolve, reject) => {
      this.answer = (answer) => {
        this.answer = null;
        if (answer.kind === "failed") reject(this.failed ?? new Failure("recording.failed"));
        else resolve(answer);
      };
      this.worker.postMessage(message);
    });
  }

  private hear(message: FromRecordWorker): void {
    if (message.kind === "kept") {
      this.onKept(message.size);
      return;
    }
    if (message.kind === "failed") {
      const code = message.full ? "storage.full" : "recording.failed";
      this.failed = new Failure(code, message.reason);
      if (this.answer === null) this.onFailed(message.full);
    }
    this.answer?.(message);
  }
}

async function digestOf(key: CryptoKey, recording: string): Promise<Ended> {
  const reader = await FrameReader.open(key, recording);
  const { createSHA256 } = await import("hash-wasm");
  const hasher = await createSHA256();
  hasher.init();
  for (let index = 0; index < reader.count; index++) hasher.update(await reader.frame(index));
  return { size: reader.size, sha256: hasher.digest("hex") };
}

async function openStream(kind: RecordingKind): Promise<MediaStream> {
  const video = { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } };
  try {
    const wanted = kind === "video" ? { audio: true, video } : { audio: true };
    return await navigator.mediaDevices.getUserMedia(wanted);
  } catch (error) {
    throw new Failure("recording.unavailable", String(error), { cause: error });
  }
}

function recorderFor(stream: MediaStream, kind: RecordingKind): MediaRecorder {
  const mimeType = FORMATS[kind].find((format) => MediaRecorder.isTypeSupported(format));
  try {
    return new MediaRecorder(stream, mimeType === undefined ? {} : { mimeType });
  } catch (error) {
    stopTracks(stream);
    throw new Failure("recording.unavailable", String(error), { cause: error });
  }
}

function stopTracks(stream: MediaStream): void {
  for (const track of stream.getTracks()) {
    track.onended = null;
    track.stop();
  }
}

/** Wait for the last slice, but not for ever: a recorder that failed may never say that it ended. */
function stopped(recorder: MediaRecorder): Promise<void> {
  return new Promise((resolve) => {
    if (recorder.state === "inactive") {
      resolve();
      return;
    }
    recorder.onstop = () => resolve();
    setTimeout(resolve, STOP_TIMEOUT_MS);
    recorder.stop();
  });
}

/** Hold the name of a recording until the answer is called, or the page ends. */
function hold(recording: string): Promise<() => void> {
  return new Promise((resolve) => {
    void navigator.locks.request(lockOf(recording), () => {
      return new Promise<void>((release) => resolve(release));
    });
  });
}

function ifFree<T>(recording: string, work: () => Promise<T>): Promise<T | null> {
  return navigator.locks.request(lockOf(recording), { ifAvailable: true }, async (lock) =>
    lock === null ? null : work(),
  );
}

function lockOf(recording: string): string {
  return `liuhen-recording-${recording}`;
}
