// One sync, as numbered steps: contact, clock, journal, media, documents.
//
// Nothing local is ever freed here. A step that fails stands in the report and costs the later
// ones only where they need it.
import { Api, hello, type DeviceStanding, type Hello } from "./api";
import type { Clock } from "./clock";
import { Failure, isFailure } from "./failures";
import { letGo, pull } from "./feed";
import { noteStored } from "./freeing";
import type { Database } from "./idb";
import type { Journal } from "./journal";
import { getMeta, putMeta } from "./meta";
import { Pusher, type StuckLine } from "./push";
import { seeCheckpoint } from "./trust";
import type { Progress, UploadReport } from "./uploader";
import { upload } from "./uploads";

const LOCK = "liuhen-sync";
const PINGS = 3;

export interface SyncReport {
  /** How far the server's clock is ahead of ours, ± `errorMs`; null if nobody answered. */
  readonly offset: { readonly offsetMs: number; readonly errorMs: number } | null;
  readonly stuck: readonly StuckLine[];
  readonly documents: number;
  readonly uploads: UploadReport | null;
  readonly standing: DeviceStanding;
  /** In the order in which they were met; empty where all went well. */
  readonly problems: readonly Failure[];
}

export interface SyncParts {
  readonly database: Database;
  readonly journal: Journal;
  readonly clock: Clock;
  /** Null while locked: then bytes stay where they are, and everything else goes on. */
  readonly dataKey: CryptoKey | null;
  readonly onProgress?: (progress: Progress) => void;
}

interface Contact {
  readonly hello: Hello;
  readonly offsetMs: number;
  readonly errorMs: number;
  readonly wallMs: number;
  readonly monoMs: number;
}

/** Sync once; a second tab waits until this one is through. */
export function sync(parts: SyncParts): Promise<SyncReport> {
  return navigator.locks.request(LOCK, () => new Sync(parts).run());
}

class Sync {
  private readonly problems: Failure[] = [];
  private contact: Contact | null = null;
  private stuck: readonly StuckLine[] = [];
  private documents = 0;
  private uploads: UploadReport | null = null;
  private api: Api | null = null;

  constructor(private readonly parts: SyncParts) {}

  async run(): Promise<SyncReport> {
    await this.attempt(() => this.steps());
    const { contact } = this;
    return {
      offset: contact && { offsetMs: contact.offsetMs, errorMs: contact.errorMs },
      stuck: this.stuck,
      documents: this.documents,
      uploads: this.uploads,
      standing: this.api?.standing ?? "active",
      problems: this.problems,
    };
  }

  private async steps(): Promise<void> {
    const { database, journal, dataKey, onProgress } = this.parts;
    const { enrolment, key } = await database.read(["meta"], async (tx) => ({
      enrolment: await getMeta(tx, "enrolment"),
      key: await getMeta(tx, "key"),
    }));
    if (enrolment === undefined || key === undefined) throw new Failure("journal.not_enrolled");
    const api = new Api(key, enrolment.device, enrolment.origin);
    this.api = api;
    // 1. Is it our server, and how far apart are the clocks?
    const contact = await this.ping();
    this.contact = contact;
    if (contact.hello.origin !== enrolment.origin) {
      throw new Failure("trust.generation_changed", contact.hello.origin);
    }
    // 2. Its ledger must begin with what it showed us before. Evidence goes out in any case.
    const see = (note: string) =>
      this.attempt(() => seeCheckpoint(database, enrolment, api, note), async () => {
        const kept = await database.read(["meta"], (tx) => getMeta(tx, "checkpoint"));
        await api.showCheckpoint(kept ?? "");
      });
    await see(contact.hello.checkpoint);
    // 3. The comparison of clocks is itself evidence.
    const compared = await journal.append({
      type: "clock.compared",
      server_ms: contact.hello.serverMs,
      offset_ms: contact.offsetMs,
      error_ms: contact.errorMs,
      wall_ms: contact.wallMs,
      mono_ms: contact.monoMs,
    });
    // 4. Lines go up, and the checkpoint that comes back covers more than the first.
    const pushed = await new Pusher(database, api, enrolment, contact.hello).run();
    this.stuck = pushed.stuck;
    if (pushed.checkpoint !== "") await see(pushed.checkpoint);
    // What the server had before the line of step 3 is in every backup that holds that line.
    await this.attempt(() => noteStored(database, enrolment, compared.header));
    // 5. Bytes of receipted lines follow.
    if (dataKey !== null) {
      await this.attempt(async () => {
        this.uploads = await upload(dataKey, onProgress);
      });
    }
    // 6. Documents come down; a revoked device gets none.
    if (api.standing === "active") {
      await this.attempt(async () => {
        this.documents = await pull(database, api);
        await letGo(database);
      });
    }
    await database.write(["meta"], async (tx) => putMeta(tx, "lastSyncMs", Date.now()));
  }

  /** The quickest of a few pings bounds the offset best: its error is half its way. */
  private async ping(): Promise<Contact> {
    let best: Contact | null = null;
    for (let ping = 0; ping < PINGS; ping++) {
      const sent = this.parts.clock.read();
      const answer = await hello();
      const way = Math.max(0, this.parts.clock.read().mono_ms - sent.mono_ms);
      const half = Math.floor(way / 2);
      const wallMs = sent.wall_ms + half;
      const errorMs = half + 2;
      if (best !== null && best.errorMs <= errorMs) continue;
      const offsetMs = answer.serverMs - wallMs;
      best = { hello: answer, offsetMs, errorMs, wallMs, monoMs: sent.mono_ms + half };
    }
    if (best === null) throw new Failure("link.unreachable");
    return best;
  }

  private async attempt(step: () => Promise<void>, onFork?: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      if (!isFailure(error)) throw error;
      this.problems.push(error);
      if (error.code === "trust.ledger_forked" && onFork !== undefined) await this.attempt(onFork);
    }
  }
}
