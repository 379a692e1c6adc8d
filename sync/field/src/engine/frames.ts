// How a recording lies on the disk: one frame for each slice, each under AES-GCM by itself, so
// that whatever was written before a kill can be read without what should have followed.
//
// A frame is the length of its plaintext (4 bytes, big-endian), an IV (12 bytes) and the
// ciphertext with its tag. Recording and place are bound into it: no frame can be moved.
import { concat, utf8, type Bytes } from "../evidence/bytes";
import { Failure } from "./failures";

const LENGTH_BYTES = 4;
const IV_BYTES = 12;
const HEAD_BYTES = LENGTH_BYTES + IV_BYTES;
const TAG_BYTES = 16;
const FOLDER = "recordings";

// What the page and the writing worker say to each other.
export type ToRecordWorker =
  | { readonly kind: "open"; readonly recording: string; readonly key: CryptoKey }
  | { readonly kind: "slice"; readonly slice: ArrayBuffer }
  | { readonly kind: "close" };

export type FromRecordWorker =
  | { readonly kind: "opened" }
  | { readonly kind: "kept"; readonly size: number }
  | { readonly kind: "closed"; readonly size: number; readonly sha256: string }
  | { readonly kind: "failed"; readonly full: boolean; readonly reason: string };

/** Where the plaintext of a frame begins, how long it is, and where the frame lies. */
interface Frame {
  readonly index: number;
  readonly start: number;
  readonly size: number;
  readonly at: number;
}

export async function sealFrame(
  key: CryptoKey,
  recording: string,
  index: number,
  slice: Bytes,
): Promise<Bytes> {
  const head = new Uint8Array(HEAD_BYTES);
  new DataView(head.buffer).setUint32(0, slice.length);
  crypto.getRandomValues(head.subarray(LENGTH_BYTES));
  const algorithm = gcm(head.slice(LENGTH_BYTES), recording, index);
  return concat(head, new Uint8Array(await crypto.subtle.encrypt(algorithm, key, slice)));
}

/** The bytes of a recording, read piece by piece; a frame that is not whole is not there. */
export class FrameReader {
  private constructor(
    private readonly file: Blob,
    private readonly key: CryptoKey,
    private readonly recording: string,
    private readonly frames: readonly Frame[],
  ) {}

  static async open(key: CryptoKey, recording: string): Promise<FrameReader> {
    const file = await fileOf(recording);
    const frames: Frame[] = [];
    let at = 0;
    let start = 0;
    while (at + HEAD_BYTES + TAG_BYTES <= file.size) {
      const head = await file.slice(at, at + LENGTH_BYTES).arrayBuffer();
      const size = new DataView(head).getUint32(0);
      const next = at + HEAD_BYTES + size + TAG_BYTES;
      if (size === 0 || next > file.size) break;
      frames.push({ index: frames.length, start, size, at });
      [at, start] = [next, start + size];
    }
    return new FrameReader(file, key, recording, frames);
  }

  get size(): number {
    const last = this.frames.at(-1);
    return last === undefined ? 0 : last.start + last.size;
  }

  get count(): number {
    return this.frames.length;
  }

  async frame(index: number): Promise<Bytes> {
    const frame = this.frames[index];
    if (frame === undefined) throw new Failure("vault.damaged", `no frame ${index}`);
    const end = frame.at + HEAD_BYTES + frame.size + TAG_BYTES;
    const whole = new Uint8Array(await this.file.slice(frame.at, end).arrayBuffer());
    const algorithm = gcm(whole.slice(LENGTH_BYTES, HEAD_BYTES), this.recording, index);
    try {
      const sealed = whole.subarray(HEAD_BYTES);
      return new Uint8Array(await crypto.subtle.decrypt(algorithm, this.key, sealed));
    } catch (error) {
      throw new Failure("vault.damaged", this.recording, { cause: error });
    }
  }

  /** Up to `length` bytes from `offset`. */
  async read(offset: number, length: number): Promise<Bytes> {
    const end = Math.min(this.size, offset + length);
    const parts: Bytes[] = [];
    for (const { index, start, size } of this.frames) {
      if (start + size <= offset || start >= end) continue;
      const bytes = await this.frame(index);
      parts.push(bytes.subarray(Math.max(0, offset - start), Math.min(size, end - start)));
    }
    return concat(...parts);
  }
}

/** When the last frame was written, by this device's clock; 0 if there is no file. */
export async function lastWrittenMs(recording: string): Promise<number> {
  try {
    return (await fileOf(recording)).lastModified;
  } catch {
    return 0;
  }
}

/** Every recording of which there is a file, and how long that is. */
export async function frameFiles(): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for await (const [name, handle] of (await framesFolder()).entries()) {
    if (handle.kind === "file") found.set(name, (await (handle as FileSystemFileHandle).getFile()).size);
  }
  return found;
}

export async function removeFrames(recording: string): Promise<void> {
  await (await framesFolder()).removeEntry(recording);
}

async function framesFolder(): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(FOLDER, { create: true });
}

export async function frameFile(recording: string, create: boolean): Promise<FileSystemFileHandle> {
  return (await framesFolder()).getFileHandle(recording, { create });
}

async function fileOf(recording: string): Promise<File> {
  try {
    return await (await frameFile(recording, false)).getFile();
  } catch (error) {
    throw new Failure("vault.damaged", `no recording ${recording}`, { cause: error });
  }
}

function gcm(iv: Bytes, recording: string, index: number): AesGcmParams {
  return { name: "AES-GCM", iv, additionalData: utf8(`${recording}/${index}`) };
}
