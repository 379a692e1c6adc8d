// One sync, as numbered steps: contact, clock, journal, media, documents.
//
// Nothing local is ever freed here. A step that fails stands in the report and costs the later
// ones only where they need it.
import { Api, generations, hello, type DeviceStanding, type Hello } from "./api";
import type { Clock } from "./clock";
import { isDue, repair } from "./diverging";
import { Failure, isFailure } from "./failures";
import { learn } from "./fates";
import { letGo, pull } from "./feed";
import { noteStored } from "./freeing";
import type { Database } from "./idb";
import { follow, renewKey } from "./generation";
import type { Journal } from "./journal";
import { getMeta, putMeta, type Enrolment } from "./meta";
import { Pusher, type StuckLine } from "./push";
import { Recovery } from "./recovery";
import { readCheckpoint, seeCheckpoint } from "./trust";
import type { Progress, UploadReport } from "./uploader";
import { upload } from "./uploads";
import { erase, isHandedIn, isWiping, sayFarewell } from "./wiping";

const LOCK = "liuhen-sync";
const PINGS = 3;
/** Each refused line costs one chain; more than a few in one sync is a fault, not bad luck. */
const CHAINS_AT_ONCE = 5;

export interface SyncReport {
  /** How far the server's clock is ahead of ours, ± `errorMs`; null if nobody answered. */
  readonly offset: { readonly offsetMs: number; readonly errorMs: number } | null;
  /** Lines that nothing here can bring on: a person has to. */
  readonly stuck: readonly StuckLine[];
  /** Lines that the server refused; the journal went on in a new chain and said them again. */
  readonly refused: readonly StuckLine[];
  readonly documents: number;
  /** Documents that had silently come to differ. */
  readonly repaired: number;
  readonly uploads: UploadReport | null;
  readonly standing: DeviceStanding;
  /** `waits`: told to, but not everything is handed in. `done`: nothing is left here. */
  readonly wipe: "" | "waits" | "done";
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
  private refused: StuckLine[] = [];
  private documents = 0;
  private repaired = 0;
  private wipe: SyncReport["wipe"] = "";
  private uploads: UploadReport | null = null;
  private api: Api | null = null;
  private readonly recovery: Recovery;

  constructor(private readonly parts: SyncParts) {
    this.recovery = new Recovery(parts.database, parts.journal);
  }

  async run(): Promise<SyncReport> {
    await this.attempt(() => this.steps());
    const { contact } = this;
    return {
      offset: contact && { offsetMs: contact.offsetMs, errorMs: contact.errorMs },
      stuck: this.stuck,
      refused: this.refused,
      documents: this.documents,
      repaired: this.repaired,
      uploads: this.uploads,
      standing: this.api?.standing ?? "active",
      wipe: this.wipe,
      problems: this.problems,
    };
  }

  private async steps(): Promise<void> {
    const { database, journal, dataKey, onProgress } = this.parts;
    const pinned = await database.read(["meta"], async (tx) => ({
      enrolment: await getMeta(tx, "enrolment"),
      key: await getMeta(tx, "key"),
    }));
    const { key } = pinned;
    if (pinned.enrolment === undefined || key === undefined) {
      throw new Failure("journal.not_enrolled");
    }
    const api = new Api(key, pinned.enrolment.device, pinned.enrolment.origin);
    this.api = api;
    // 1. Is it our server, in which generation, and how far apart are the clocks?
    const contact = await this.ping();
    this.contact = contact;
    const enrolment = await this.present(pinned.enrolment, contact.hello, api);
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
    const push = async (): Promise<void> => {
      const pushed = await this.push(new Pusher(database, api, enrolment, contact.hello));
      if (pushed !== "") await see(pushed);
    };
    await push();
    // What the server had before the line of step 3 is in every backup that holds that line.
    await this.attempt(() => noteStored(database, enrolment, compared.header));
    // 5. Bytes of receipted lines follow.
    if (dataKey !== null) {
      await this.attempt(async () => {
        const { windows, recordings } = contact.hello;
        const rules = { windows, recordings, offsetMs: contact.offsetMs };
        this.uploads = await upload(dataKey, rules, onProgress);
      });
    }
    // 6. Documents come down; a revoked device gets none.
    if (api.standing === "active") {
      await this.attempt(async () => {
        this.documents = await pull(database, api);
        const now = this.parts.clock.read().wall_ms;
        if (await isDue(database, now)) this.repaired = await repair(database, api, now);
        await letGo(database);
      });
      await this.attempt(() => learn(database, api));
    }
    await database.write(["meta"], async (tx) => {
      putMeta(tx, "lastSyncMs", Date.now());
      putMeta(tx, "standing", api.standing);
    });
    // 7. A phone that is lost empties itself, once everything is handed in.
    if (api.standing === "wipe" || (await isWiping(database))) await this.empty(push);
  }

  /** What is pinned, in the generation and under the key by which the server's ledger goes on. */
  private async present(pinned: Enrolment, server: Hello, api: Api): Promise<Enrolment> {
    const { database } = this.parts;
    if (server.origin !== pinned.origin) {
      const { enrolment, said } = await follow(database, pinned, api, server.origin);
      this.problems.push(said);
      // The chains to come shall lie in one generation whole.
      await this.recovery.leaveForNewGeneration();
      return enrolment;
    }
    try {
      await readCheckpoint(server.checkpoint, pinned);
    } catch (error) {
      if (!isFailure(error, "trust.checkpoint_invalid")) throw error;
      const enrolment = await renewKey(pinned, await generations());
      await database.write(["meta"], async (tx) => putMeta(tx, "enrolment", enrolment));
      return enrolment;
    }
    return pinned;
  }

  /** Push every chain; go on in a new one past what is refused. Answers the newest checkpoint. */
  private async push(pusher: Pusher): Promise<string> {
    let checkpoint = "";
    await this.recovery.goOn();
    for (let round = 1; round <= CHAINS_AT_ONCE; round++) {
      const pushed = await pusher.run();
      checkpoint = pushed.checkpoint;
      // A chain that is refused from its first line on would be refused anew: its key is unknown.
      const refused = pushed.stuck.filter(({ seq, code }) => seq > 0 && code !== "journal.gap");
      this.stuck = pushed.stuck.filter((one) => !refused.includes(one));
      for (const one of refused) {
        await this.recovery.leave(one);
        this.refused.push(one);
        this.problems.push(new Failure("journal.refused", `${one.code}, line ${one.seq}`));
      }
      if (!(await this.recovery.goOn())) break;
    }
    const codes = this.stuck.map((one) => one.code);
    await this.parts.database.write(["meta"], async (tx) => putMeta(tx, "stuck", codes));
    for (const { code, seq } of this.stuck) {
      this.problems.push(new Failure("journal.stuck", `line ${seq}`, { problem: code }));
    }
    return checkpoint;
  }

  /** Hand in one last line that says so; with its receipt, everything may go. */
  private async empty(push: () => Promise<void>): Promise<void> {
    const { database, journal, clock } = this.parts;
    this.wipe = "waits";
    if (!(await isHandedIn(database))) return;
    if (!(await isWiping(database))) {
      await sayFarewell(database, journal);
      await push();
    }
    if ((await isHandedIn(database)) && (await erase(database, clock.read().wall_ms))) {
      this.wipe = "done";
    }
  }

  /** The quickest of a few pings bounds the offset best: its error is half its way. */
  private async ping(): Promise<Contact> {
    let best: Contact | null = null;
    for (let ping = 0; ping < PINGS; ping++) {
      const sent = this.parts.clock.read();
      const answer = await hello().catch((error: unknown) => {
        if (best === null || !isFailure(error)) throw error;
        return null;
      });
      if (answer === null) continue;
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
      const told = ({ code, message }: Failure) => code === error.code && message === error.message;
      if (!this.problems.some(told)) this.problems.push(error);
      if (error.code === "trust.ledger_forked" && onFork !== undefined) await this.attempt(onFork);
    }
  }
}
