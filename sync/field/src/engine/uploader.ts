// Sending bytes by tus 1.0 (docs/protocol.md §7): small first, resumed at the byte, and a file
// with which something is wrong costs only itself. Runs in a worker; every run may be cut off.
import { toBase64, utf8, type Bytes } from "../evidence/bytes";
import type { Api } from "./api";
import { Failure, isFailure } from "./failures";
import type { Database } from "./idb";
import { FrameReader } from "./frames";
import { API, expect, type Answer } from "./link";
import type { ItemRow, UploadRow } from "./schema";
import { unseal } from "./vault";
import { allowance, type Allowance, type Rules } from "./windows";

const CHUNK_BYTES = 4 << 20;
const DIGESTS_AT_ONCE = 500;
/** Cuts in a row that brought nothing forward, before the link counts as gone. */
const CUTS = 4;
const FIRST_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 3_600_000;
const TUS = { "Tus-Resumable": "1.0.0" } as const;
const CHUNK_TYPE = "application/offset+octet-stream";
const TIMEOUT_MS = 120_000;

export interface Progress {
  readonly sha256: string;
  readonly offset: number;
  readonly size: number;
}

/** One chunk of a file, from an offset. */
type Read = (offset: number) => Promise<Bytes>;

export interface UploadReport {
  readonly stored: number;
  readonly waiting: number;
  /** Of those, recordings that the server does not take now: its hours, or its room. */
  readonly held: number;
  /** Why the run ended early; empty if it did not. */
  readonly ended: string;
}

/** A server that asks for nothing. */
const NO_RULES: Rules = { windows: [], recordings: true, offsetMs: 0 };

export class Uploader {
  constructor(
    private readonly database: Database,
    private readonly api: Api,
    private readonly key: CryptoKey,
    private readonly progress: (progress: Progress) => void = () => undefined,
    private readonly rules: Rules = NO_RULES,
  ) {}

  /** Send what the server lacks, ask again, and only then call it stored. */
  async run(): Promise<UploadReport> {
    let stored = 0;
    let ended = "";
    try {
      const before = await this.ask();
      stored += before.stored;
      for (const item of before.wanted) await this.attempt(item);
      if (before.wanted.length > 0) stored += (await this.ask()).stored;
    } catch (error) {
      if (!isFailure(error)) throw error;
      ended = error.code;
    }
    const waiting = await this.waiting();
    const held = waiting.filter((item) => !this.allowed(item).send).length;
    return { stored, waiting: waiting.length, held, ended };
  }

  /** Items with a receipted line, in the order in which they go, each digest once. */
  private async waiting(): Promise<ItemRow[]> {
    const local = IDBKeyRange.bound(["local"], ["local", []]);
    const rows = await this.database.read(["items", "lines"], async (tx) => {
      const items = await tx.by("items", "waiting", local);
      const lines = await Promise.all(items.map((one) => tx.get("lines", [one.epoch, one.seq])));
      return items.filter((_, place) => lines[place]?.state === "safe");
    });
    return [...new Map(rows.map((row) => [row.sha256, row])).values()];
  }

  private async ask(): Promise<{ stored: number; wanted: ItemRow[] }> {
    const items = await this.waiting();
    const wanted: ItemRow[] = [];
    let stored = 0;
    for (let start = 0; start < items.length; start += DIGESTS_AT_ONCE) {
      const some = items.slice(start, start + DIGESTS_AT_ONCE);
      const answer = await this.api.lacking(some.map((item) => item.sha256));
      const open = new Set([...answer.lacking, ...answer.unannounced]);
      const here = some.filter((item) => !open.has(item.sha256));
      await this.markStored(here.map((item) => item.sha256));
      stored += here.length;
      wanted.push(...some.filter((item) => open.has(item.sha256)));
    }
    return { stored, wanted };
  }

  private async markStored(digests: readonly string[]): Promise<void> {
    await this.database.write(["items", "uploads"], async (tx) => {
      for (const sha256 of digests) {
        for (const item of await tx.by("items", "sha256", sha256)) {
          tx.put("items", { ...item, state: "stored" });
        }
        tx.delete("uploads", sha256);
      }
    });
  }

  /** Send one file; what is wrong with it alone is noted, and the next one follows. */
  private async attempt(item: ItemRow): Promise<void> {
    const upload = await this.uploadOf(item.sha256);
    const left = upload.notBeforeMs - Date.now();
    // A longer one was noted by a clock that has been set back since.
    if (left > 0 && left <= LONGEST_WAIT_MS) return;
    if (!this.allowed(item).send) return;
    try {
      await this.sendWhole(item, upload);
    } catch (error) {
      if (!isFailure(error, "link.refused", "link.unavailable", "vault.damaged")) throw error;
      const now = await this.uploadOf(item.sha256);
      const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** now.failures);
      await this.note({
        ...now,
        failures: now.failures + 1,
        notBeforeMs: Date.now() + wait,
        problem: error.problem || error.code,
      });
    }
  }

  private async sendWhole(item: ItemRow, upload: UploadRow): Promise<void> {
    let { location } = upload;
    let offset = location === "" ? 0 : -1;
    let cuts = 0;
    let read: Read | null = null;
    while (offset < item.size) {
      try {
        if (location === "") {
          ({ location, offset } = await this.create(item));
        } else if (offset < 0) {
          offset = await this.offsetOf(location);
        } else {
          const allowed = this.allowed(item);
          // Its hours are over: the rest goes when they come again.
          if (!allowed.send) return;
          read ??= await this.reading(item);
          const began = performance.now();
          const arrived = await this.patch(location, offset, await read(offset));
          if (arrived > offset) cuts = 0;
          await pace(arrived - offset, allowed.kbitS, performance.now() - began);
          offset = arrived;
        }
      } catch (error) {
        if (isGone(error)) [location, offset] = ["", 0];
        else if (isFailure(error, "link.unreachable") || isElsewhere(error)) offset = -1;
        else throw error;
        // What arrived of a cut request counts: ask where the server stands.
        if (++cuts >= CUTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** cuts));
        continue;
      }
      await this.note({ ...upload, location, offset: Math.max(0, offset) });
      this.progress({ sha256: item.sha256, offset: Math.max(0, offset), size: item.size });
    }
  }

  private allowed(item: ItemRow): Allowance {
    return allowance(this.rules, item.mediaType, Date.now());
  }

  private async create(item: ItemRow): Promise<{ location: string; offset: number }> {
    const pairs = [
      ["sha256", item.sha256],
      ["filename", item.name || item.item],
      ["filetype", item.mediaType],
    ] as const;
    const metadata = pairs.map(([name, value]) => `${name} ${toBase64(utf8(value))}`).join(",");
    const headers = { ...TUS, "Upload-Length": String(item.size), "Upload-Metadata": metadata };
    const answer = expect(await this.api.send("POST", `${API}/uploads`, { headers }), 201);
    // Only the path is taken over: a foreign host must never see our token.
    const { pathname } = new URL(answer.headers.get("Location") ?? "", globalThis.location.href);
    if (!pathname.startsWith(`${API}/uploads/`)) {
      throw new Failure("link.captive_portal", "no place for the upload");
    }
    return { location: pathname, offset: offsetIn(answer, item.size) };
  }

  private async offsetOf(location: string): Promise<number> {
    return offsetIn(expect(await this.api.send("HEAD", location, { headers: TUS }), 200, 204));
  }

  private async patch(location: string, offset: number, body: Bytes): Promise<number> {
    const headers = { ...TUS, "Upload-Offset": String(offset), "Content-Type": CHUNK_TYPE };
    const request = { headers, body, timeoutMs: TIMEOUT_MS };
    const answer = expect(await this.api.send("PATCH", location, request), 204);
    return offsetIn(answer, offset + body.length);
  }

  /** A picture is decrypted once; a recording, which may be longer than memory, by chunks. */
  private async reading({ sha256, recording }: ItemRow): Promise<Read> {
    if (recording !== undefined) {
      const frames = await FrameReader.open(this.key, recording);
      return (offset) => frames.read(offset, CHUNK_BYTES);
    }
    const blob = await this.database.read(["blobs"], (tx) => tx.get("blobs", sha256));
    if (blob === undefined) throw new Failure("vault.damaged", sha256);
    const bytes = await unseal(this.key, blob);
    return async (offset) => bytes.slice(offset, offset + CHUNK_BYTES);
  }

  private async uploadOf(sha256: string): Promise<UploadRow> {
    const row = await this.database.read(["uploads"], (tx) => tx.get("uploads", sha256));
    return (
      row ?? { sha256, location: "", offset: 0, failures: 0, notBeforeMs: 0, problem: "" }
    );
  }

  private async note(row: UploadRow): Promise<void> {
    await this.database.write(["uploads"], async (tx) => tx.put("uploads", row));
  }
}

/** Wait until so many bytes have taken as long as the server wants them to. */
async function pace(bytes: number, kbitS: number, tookMs: number): Promise<void> {
  const restMs = kbitS > 0 ? (bytes * 8) / kbitS - tookMs : 0;
  if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
}

function offsetIn(answer: Answer, most = Number.MAX_SAFE_INTEGER): number {
  const offset = Number(answer.headers.get("Upload-Offset") ?? "0");
  if (!Number.isSafeInteger(offset) || offset < 0 || offset > most) {
    throw new Failure("link.captive_portal", "an offset that cannot be");
  }
  return offset;
}

/** The server does not know the upload any more: begin it again. */
function isGone(error: unknown): boolean {
  return isFailure(error, "link.refused") && [403, 404, 410].includes(error.status);
}

/** Another writer of ours, cut off earlier, may have brought the offset forward. */
function isElsewhere(error: unknown): boolean {
  return isFailure(error, "link.refused") && [408, 409, 423].includes(error.status);
}
