// The server's API as calls: each returns checked values or throws a Failure (docs/protocol.md §4).
import { fromHex, toBase64url, type Bytes } from "../evidence/bytes";
import type { Json } from "../evidence/canonical";
import { leafHash, rootFromInclusion } from "../evidence/merkle";
import { sign, type DeviceKey } from "../evidence/p256";
import { tokenProof } from "../evidence/proofs";
import { isFailure } from "./failures";
import { API, expect, object, objects, parsed, send, text, texts, truth, whole } from "./link";
import type { Answer, Members, Request } from "./link";
import type { SendWindow } from "./windows";

export interface Hello {
  readonly serverMs: number;
  readonly origin: string;
  readonly generation: number;
  readonly pushLines: number;
  readonly pushBytes: number;
  readonly checkpoint: string;
  /** How many entries of the ledger the server's last backup holds. */
  readonly backedUpSize: number;
  /** When recordings may be sent; empty: always. */
  readonly windows: readonly SendWindow[];
  /** Whether the server's store has room for recordings. */
  readonly recordings: boolean;
}

export interface LineResult {
  readonly seq: number;
  readonly digest: string;
  readonly journal: string;
  readonly projection: string;
  readonly code: string;
}

export interface Pushed {
  readonly results: readonly LineResult[];
  readonly receipts: readonly string[];
  readonly nextSeq: number;
  readonly checkpoint: string;
}

export interface Standing {
  readonly nextSeq: number;
  readonly head: string;
  readonly receipts: readonly string[];
  readonly results: readonly LineResult[];
  readonly nextSince: number | null;
}

/** What became of a line after its push was answered. */
export interface Fate {
  readonly epoch: string;
  readonly seq: number;
  readonly digest: string;
  readonly projection: string;
  readonly code: string;
  readonly decision: string;
  readonly reason: string;
}

export interface FatePage {
  readonly outcomes: readonly Fate[];
  readonly cursor: string;
  readonly more: boolean;
}

/** A generation of the server's ledger, as the server claims it. */
export interface Life {
  readonly generation: number;
  readonly origin: string;
  readonly ledgerKey: string;
  readonly receiptKey: string;
  readonly checkpoint: string;
  readonly restore: Restore | null;
  readonly endorsements: readonly string[];
}

/** The first leaf of a generation that took over from another. */
export interface Restore {
  readonly event: string;
  readonly salt: string;
  readonly size: number;
  readonly path: readonly string[];
}

/** Sums of what this device was given, in 2^`bits` buckets. */
export interface Digest {
  readonly bits: number;
  readonly sums: string;
  readonly reset: boolean;
}

export interface Repair {
  readonly documents: readonly FeedChange[];
  readonly gone: readonly string[];
  readonly more: boolean;
}

export interface FeedChange {
  readonly op: string;
  readonly kind: string;
  readonly id: string;
  readonly body: Json;
}

export interface FeedPage {
  readonly documents: readonly FeedChange[];
  readonly cursor: string;
  readonly more: boolean;
  readonly reset: boolean;
}

export type DeviceStanding = "active" | "revoked" | "wipe";

const JSON_TYPE = { "Content-Type": "application/json", Accept: "application/json" } as const;

export async function hello(): Promise<Hello> {
  const members = parsed(expect(await send("GET", `${API}/hello`), 200));
  const limits = object(members, "limits");
  const windows = limits["windows"] == null ? [] : objects(limits, "windows");
  const room = members["room"] == null ? {} : object(members, "room");
  return {
    serverMs: whole(members, "server_ms"),
    origin: text(members, "origin"),
    generation: whole(members, "generation"),
    pushLines: whole(limits, "push_lines"),
    pushBytes: whole(limits, "push_bytes"),
    checkpoint: text(members, "checkpoint"),
    backedUpSize: members["backed_up_size"] == null ? 0 : whole(members, "backed_up_size"),
    windows: windows.map((one) => ({
      from: text(one, "from"),
      to: text(one, "to"),
      kbitS: whole(one, "kbit_s"),
    })),
    recordings: room["recordings"] !== false,
  };
}

/** Every generation of the server's ledger, oldest first, as it claims them; no token. */
export async function generations(): Promise<Life[]> {
  const members = parsed(expect(await send("GET", `${API}/ledger/generations`), 200));
  return objects(members, "generations").map((one) => ({
    generation: whole(one, "generation"),
    origin: text(one, "origin"),
    ledgerKey: text(one, "ledger_key"),
    receiptKey: text(one, "receipt_key"),
    checkpoint: text(one, "checkpoint"),
    restore: one["restore"] == null ? null : restore(object(one, "restore")),
    endorsements: one["endorsements"] == null ? [] : texts(one, "endorsements"),
  }));
}

function restore(members: Members): Restore {
  return {
    event: text(members, "event"),
    salt: text(members, "salt"),
    size: whole(members, "size"),
    path: texts(members, "path"),
  };
}

export async function postJson(path: string, value: Json): Promise<Answer> {
  return send("POST", path, { headers: JSON_TYPE, body: JSON.stringify(value) });
}

/** Calls that take a token, which the device's key gets: no login of a person is involved. */
export class Api {
  private token = "";
  /** As the newest token said. */
  standing: DeviceStanding = "active";

  constructor(
    private readonly key: DeviceKey,
    private readonly device: string,
    private origin: string,
  ) {}

  async push(epoch: string, lines: Bytes): Promise<Pushed> {
    const packed = await gzip(lines);
    const headers = {
      "Content-Type": "application/x-ndjson",
      ...(packed === null ? {} : { "Content-Encoding": "gzip" }),
    };
    const path = `${API}/journal/${this.device}/${epoch}`;
    const answer = await this.send("POST", path, { headers, body: packed ?? lines });
    const members = parsed(expect(answer, 200));
    return {
      results: objects(members, "results").map(lineResult),
      receipts: texts(members, "receipts"),
      nextSeq: whole(members, "next_seq"),
      checkpoint: text(members, "checkpoint"),
    };
  }

  /** Where the server's chain stands, and what its answers had told from line `since` on. */
  async chain(epoch: string, since: number): Promise<Standing> {
    const path = `${API}/journal/${this.device}/${epoch}?since=${since}`;
    const members = parsed(expect(await this.send("GET", path), 200));
    return {
      nextSeq: whole(members, "next_seq"),
      head: text(members, "head"),
      receipts: texts(members, "receipts"),
      results: objects(members, "results").map(lineResult),
      nextSince: members["next_since"] == null ? null : whole(members, "next_since"),
    };
  }

  async feed(cursor: string): Promise<FeedPage> {
    const path = `${API}/feed?cursor=${encodeURIComponent(cursor)}`;
    const members = parsed(expect(await this.send("GET", path), 200));
    return {
      documents: objects(members, "documents").map(feedChange),
      cursor: text(members, "cursor"),
      more: truth(members, "more"),
      reset: truth(members, "reset"),
    };
  }

  /** What became of this device's lines after `cursor`, beyond what pushes answered. */
  async outcomes(cursor: string): Promise<FatePage> {
    const path = `${API}/outcomes?since=${encodeURIComponent(cursor)}`;
    const members = parsed(expect(await this.send("GET", path), 200));
    return {
      outcomes: objects(members, "outcomes").map((one) => ({
        epoch: text(one, "epoch"),
        seq: whole(one, "seq"),
        digest: text(one, "digest"),
        projection: text(one, "projection"),
        code: text(one, "code"),
        decision: text(one, "decision"),
        reason: text(one, "reason"),
      })),
      cursor: text(members, "cursor"),
      more: truth(members, "more"),
    };
  }

  /** The sums of what this device was given up to `cursor`. */
  async digest(cursor: string): Promise<Digest> {
    const path = `${API}/digest?cursor=${encodeURIComponent(cursor)}`;
    const members = parsed(expect(await this.send("GET", path), 200));
    return {
      bits: whole(members, "bits"),
      sums: text(members, "sums"),
      reset: truth(members, "reset"),
    };
  }

  /** What this device lacks in `buckets`, of which it holds documents with these marks. */
  async repair(bits: number, buckets: Readonly<Record<string, string[]>>): Promise<Repair> {
    const body = JSON.stringify({ bits, buckets });
    const path = `${API}/digest/documents`;
    const members = parsed(expect(await this.send("POST", path, { headers: JSON_TYPE, body }), 200));
    return {
      documents: objects(members, "documents").map(feedChange),
      gone: texts(members, "gone"),
      more: truth(members, "more"),
    };
  }

  /** That the ledger of `second` leaves begins with that of `first`; also of one that has ended. */
  async consistency(first: number, second: number, generation?: number): Promise<Bytes[]> {
    const which = generation === undefined ? "" : `&generation=${generation}`;
    const path = `${API}/ledger/consistency?first=${first}&second=${second}${which}`;
    const members = parsed(expect(await this.send("GET", path), 200));
    return texts(members, "path").map((node) => fromHex(node, 32));
  }

  /** The root of the server's first `size` leaves, as its proof of the first one has it. */
  async treeRoot(size: number): Promise<Bytes> {
    const path = `${API}/ledger/inclusion?index=0&size=${size}`;
    const members = parsed(expect(await this.send("GET", path), 200));
    const leaf = await leafHash(fromHex(text(members, "entry"), 32));
    const nodes = texts(members, "path").map((node) => fromHex(node, 32));
    return rootFromInclusion(leaf, { index: 0, size, path: nodes });
  }

  /** Get tokens of the ledger `origin` from now on. */
  speakTo(origin: string): void {
    [this.origin, this.token] = [origin, ""];
  }

  /** Show a checkpoint that we verified, so that a server that went back learns of it. */
  async showCheckpoint(checkpoint: string): Promise<void> {
    const body = JSON.stringify({ checkpoint });
    expect(await this.send("POST", `${API}/ledger/seen`, { headers: JSON_TYPE, body }), 200);
  }

  async lacking(digests: readonly string[]): Promise<{ lacking: string[]; unannounced: string[] }> {
    const body = JSON.stringify({ digests });
    const answer = await this.send("POST", `${API}/media/lacking`, { headers: JSON_TYPE, body });
    const members = parsed(expect(answer, 200));
    return { lacking: texts(members, "lacking"), unannounced: texts(members, "unannounced") };
  }

  /** Send with a token; one that is refused is replaced once. */
  async send(method: string, path: string, request: Request = {}): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      if (this.token === "") this.token = await this.newToken();
      const headers = { ...request.headers, Authorization: `Bearer ${this.token}` };
      const answer = await send(method, path, { ...request, headers });
      if (answer.status !== 401 || attempt > 1) return answer;
      this.token = "";
    }
  }

  private async newToken(): Promise<string> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.exchange();
      } catch (error) {
        // The answer was lost and with it the nonce, which works once.
        const spent = isFailure(error, "link.refused") && error.problem === "token.nonce_unknown";
        if (!spent || attempt > 2) throw error;
      }
    }
  }

  private async exchange(): Promise<string> {
    const { keyId, privateKey } = this.key;
    const asked = expect(await postJson(`${API}/nonces`, { key_id: keyId }), 201);
    const nonce = text(parsed(asked), "nonce");
    const proof = tokenProof(nonce, keyId, this.origin);
    const signature = toBase64url(await sign(privateKey, proof));
    const answer = await postJson(`${API}/tokens`, { key_id: keyId, nonce, signature });
    const members = parsed(expect(answer, 201));
    const standing = members["standing"];
    this.standing = standing === "revoked" || standing === "wipe" ? standing : "active";
    return text(members, "token");
  }
}

function feedChange(members: Members): FeedChange {
  return {
    op: text(members, "op"),
    kind: text(members, "kind"),
    id: text(members, "id"),
    body: (members["body"] ?? {}) as Json,
  };
}

function lineResult(members: Members): LineResult {
  return {
    seq: whole(members, "seq"),
    digest: text(members, "digest"),
    journal: text(members, "journal"),
    projection: text(members, "projection"),
    code: text(members, "code"),
  };
}

/** Packed, or null where the browser cannot. */
async function gzip(bytes: Bytes): Promise<Bytes | null> {
  if (!("CompressionStream" in globalThis)) return null;
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}
