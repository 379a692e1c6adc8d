// The worker that writes a recording: each slice is encrypted, appended and flushed, and the
// running digest is of what was recorded, so that nothing is ever read again to know it.
/// <reference lib="webworker" />
import { createSHA256 } from "hash-wasm";
import { frameFile, sealFrame, type FromRecordWorker, type ToRecordWorker } from "../engine/frames";

const worker = self as unknown as DedicatedWorkerGlobalScope;

type Writing = Awaited<ReturnType<typeof open>>;

let writing: Promise<Writing> | null = null;
let queue: Promise<unknown> = Promise.resolve();
/** A slice is lost: what would follow it must not be put in its place. */
let broken = false;

worker.addEventListener("message", (event: MessageEvent<ToRecordWorker>) => {
  // One after the other: a slice must not overtake the one before it.
  queue = queue.then(() => handle(event.data)).then(tell, (error: unknown) => {
    broken = true;
    const full = error instanceof DOMException && error.name === "QuotaExceededError";
    tell({ kind: "failed", full, reason: String(error) });
  });
});

function tell(message: FromRecordWorker): void {
  worker.postMessage(message);
}

async function handle(message: ToRecordWorker): Promise<FromRecordWorker> {
  if (message.kind === "open") {
    writing = open(message.recording, message.key);
    await writing;
    return { kind: "opened" };
  }
  if (writing === null) throw new Error("not opened");
  const now = await writing;
  if (message.kind === "slice") {
    if (broken) return { kind: "kept", size: now.size };
    const slice = new Uint8Array(message.slice);
    const frame = await sealFrame(now.key, now.recording, now.count, slice);
    if (now.handle.write(frame, { at: now.end }) !== frame.length) {
      now.handle.truncate(now.end);
      throw new DOMException("short write", "QuotaExceededError");
    }
    now.handle.flush();
    now.hasher.update(slice);
    now.end += frame.length;
    now.size += slice.length;
    now.count += 1;
    return { kind: "kept", size: now.size };
  }
  now.handle.close();
  return { kind: "closed", size: now.size, sha256: now.hasher.digest("hex") };
}

async function open(recording: string, key: CryptoKey) {
  const handle = await (await frameFile(recording, true)).createSyncAccessHandle();
  const hasher = await createSHA256();
  hasher.init();
  return { recording, key, handle, hasher, end: 0, size: 0, count: 0 };
}
