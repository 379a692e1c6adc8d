// The engine's one door: what screens may ask for. It knows nothing of screens.
import type { JsonObject } from "../evidence/canonical";
import type { Act, Line, Part } from "../evidence/line";
import { spell, spellFull } from "../evidence/shortcode";
import { Captures, type Capture, type Saved } from "./capture";
import { BrowserClock, type Clock } from "./clock";
import type { AboutDevice } from "./enrol";
import { Failure } from "./failures";
import { Database } from "./idb";
import { Journal } from "./journal";
import {
  newRecordId,
  readRecords,
  saveRecord,
  standing,
  type RecordView,
  type Saving,
} from "./records";
import { Recordings, recordedBytes, type RecordingKind, type Running } from "./recordings";
import { getMeta, putMeta, type Enrolment, type SessionRow, type WipedRow } from "./meta";
import {
  ONLY_HERE,
  type AlarmRow,
  type DocumentRow,
  type ItemRow,
  type LineRow,
  type LineState,
} from "./schema";
import { seal, sealList, type Sealing, type SealList } from "./sealing";
import type { SyncReport } from "./sync";
import type { Trouble } from "./troubles";
import type { Progress } from "./uploader";
import { changePin, createVault, unlockVault } from "./vault";
import { finishWipe } from "./wiping";

export interface OpenInspection {
  readonly officer: string;
  /** Two or more, the first officer among them. */
  readonly officers: readonly string[];
  readonly task?: string;
  readonly entity?: string;
  readonly title?: string;
  readonly purpose?: string;
}

/** How much of what this phone holds exists nowhere else, as far as anything proves. */
export interface Status {
  readonly enrolled: boolean;
  readonly hasPin: boolean;
  readonly unlocked: boolean;
  readonly linesOnlyHere: number;
  readonly itemsOnlyHere: number;
  readonly bytesOnlyHere: number;
  readonly alarms: number;
  readonly lastSyncMs: number;
}

/** One item as a screen shows it. `safe`: stored by the server, and its line's receipt verified. */
export interface ItemView extends ItemRow {
  readonly fate: "only-here" | "sending" | "safe";
  readonly sentBytes: number;
  readonly problem: string;
}

/** Lines in `state`, by the index of that name. */
function inState(state: LineState): IDBKeyRange {
  return IDBKeyRange.bound([state], [state, []]);
}

export class Field {
  readonly database: Database;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly recordings: Recordings;
  /** How many recordings, cut off by a kill, the last unlocking has made items of. */
  recovered: Promise<number> = Promise.resolve(0);
  private readonly captures: Captures;
  private dataKey: CryptoKey | null = null;

  constructor(database = new Database(), clock: Clock = new BrowserClock()) {
    this.database = database;
    this.clock = clock;
    this.journal = new Journal(database, clock);
    this.captures = new Captures(database, this.journal, clock);
    this.recordings = new Recordings(database, this.journal, clock, this.captures);
    // Phones take the connection away in the background; what fails here fails where it is needed.
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") void database.revive().catch(() => undefined);
    });
    void finishWipe(database).catch(() => undefined);
  }

  /** Become a device of the bureau's, with the code that its administrator gave. */
  async enrol(code: string, about: AboutDevice): Promise<Enrolment> {
    const { enrol } = await import("./enrol");
    return enrol(this.database, this.journal, code, about);
  }

  /** Hand in and fetch all that the link allows; what went wrong stands in the report. */
  async sync(onProgress?: (progress: Progress) => void): Promise<SyncReport> {
    // What only a sync needs is loaded with the first one: the first screen comes the sooner.
    const { sync } = await import("./sync");
    const report = await sync({
      database: this.database,
      journal: this.journal,
      clock: this.clock,
      dataKey: this.dataKey,
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    if (report.wipe === "done") this.lock();
    return report;
  }

  enrolment(): Promise<Enrolment | undefined> {
    return this.database.read(["meta"], (tx) => getMeta(tx, "enrolment"));
  }

  /** Set the first PIN: makes the key under which bytes lie at rest, and unlocks it. */
  async setPin(pin: string, iterations?: number): Promise<void> {
    const { row, key } = await createVault(pin, iterations);
    await this.database.write(["meta"], async (tx) => {
      // A second key would make everything under the first one unreadable.
      if ((await getMeta(tx, "vault")) !== undefined) throw new Failure("vault.locked");
      putMeta(tx, "vault", row);
    });
    this.dataKey = key;
  }

  async changePin(pin: string, next: string): Promise<void> {
    const row = await changePin(await this.vault(), pin, next);
    await this.database.write(["meta"], async (tx) => putMeta(tx, "vault", row));
  }

  async unlock(pin: string): Promise<void> {
    this.dataKey = await unlockVault(await this.vault(), pin);
    this.recovered = this.recordings.recover(this.dataKey);
    // Whoever waits for it learns why it failed; nobody need wait.
    this.recovered.catch(() => undefined);
  }

  lock(): void {
    this.dataKey = null;
  }

  get unlocked(): boolean {
    return this.dataKey !== null;
  }

  /** The key under which bytes lie at rest; only while unlocked. */
  key(): CryptoKey {
    if (this.dataKey === null) throw new Failure("vault.locked");
    return this.dataKey;
  }

  /** Say in the journal that `officer` is unlocked here, and how. */
  async logIn(officer: string, certificateNo: string, method = "pin"): Promise<SessionRow> {
    const row = { officer, session: crypto.randomUUID(), certificateNo, method };
    const act = {
      type: "session.opened",
      officer,
      session: row.session,
      method,
      certificate_no: certificateNo,
      // Where this was not promised, evidence may vanish with nobody's doing.
      persisted: (await navigator.storage?.persisted?.()) === true,
    };
    await this.journal.append(act, [], {
      stores: ["meta"],
      write: async (tx) => {
        const open = (await getMeta(tx, "sessions")) ?? [];
        putMeta(tx, "sessions", [...open.filter((one) => one.officer !== officer), row]);
      },
    });
    return row;
  }

  async logOut(officer: string): Promise<void> {
    const open = await this.sessions();
    const own = open.find((one) => one.officer === officer);
    if (own === undefined) return;
    await this.journal.append({ type: "session.closed", officer, session: own.session }, [], {
      stores: ["meta"],
      write: (tx) => putMeta(tx, "sessions", open.filter((one) => one !== own)),
    });
  }

  async sessions(): Promise<readonly SessionRow[]> {
    return (await this.database.read(["meta"], (tx) => getMeta(tx, "sessions"))) ?? [];
  }

  /** Open an inspection; answers its id. */
  async openInspection(given: OpenInspection): Promise<string> {
    const inspection = crypto.randomUUID();
    const { officers, ...rest } = given;
    const act = { ...rest, type: "inspection.opened", inspection, officers: [...officers] };
    await this.journal.append(act as Act);
    return inspection;
  }

  /** Any other act of docs/protocol.md §4.1, with a part of its own for each sensitive field. */
  act(type: string, members: JsonObject, further: readonly Part[] = []): Promise<Line> {
    return this.journal.append({ ...members, type }, further);
  }

  capture(capture: Capture): Promise<Saved> {
    return this.captures.keep(this.key(), capture);
  }

  discard(item: string, officer: string, reason: string): Promise<Line> {
    return this.captures.discard(item, officer, reason);
  }

  /** Record sound or film in slices; ends by `recordings.stop`. */
  record(officer: string, inspection: string, kind: RecordingKind): Promise<Running> {
    return this.recordings.start(this.key(), { officer, inspection, kind });
  }

  /** The records of an inspection as all known revisions make them. */
  records(inspection: string): Promise<RecordView[]> {
    return readRecords(this.database, inspection);
  }

  /** Sign what was changed of a record; null if nothing was. */
  saveRecord(saving: Saving): Promise<Line | null> {
    return saveRecord(this.journal, saving);
  }

  newRecordId(inspection: string, template: string): Promise<string> {
    return newRecordId(inspection, template);
  }

  /** What a seal would list now. */
  sealList(inspection: string): Promise<SealList> {
    return sealList(this.database, inspection);
  }

  seal(sealing: Sealing): Promise<Line> {
    return seal(this.database, this.journal, sealing);
  }

  async bytesOf(item: ItemRow): Promise<Blob> {
    if (item.recording !== undefined) return recordedBytes(this.key(), item);
    const bytes = await this.captures.bytesOf(this.key(), item.sha256);
    return new Blob([bytes], { type: item.mediaType });
  }

  /** The items of an inspection, oldest first. */
  items(inspection: string): Promise<ItemView[]> {
    return this.database.read(["items", "lines", "uploads"], async (tx) => {
      const rows = await tx.by("items", "inspection", inspection);
      const unproved = new Set<string>();
      for (const state of ONLY_HERE) {
        for (const place of await tx.keysBy("lines", "state", inState(state))) {
          unproved.add(String(place));
        }
      }
      const uploads = new Map((await tx.all("uploads")).map((one) => [one.sha256, one]));
      return rows
        .sort((a, b) => a.order - b.order)
        .map((row): ItemView => {
          const safe = row.state === "stored" && !unproved.has(String([row.epoch, row.seq]));
          const upload = uploads.get(row.sha256);
          const sentBytes = row.state === "stored" ? row.size : (upload?.offset ?? 0);
          return {
            ...row,
            fate: safe ? "safe" : sentBytes > 0 ? "sending" : "only-here",
            sentBytes,
            problem: upload?.problem ?? "",
          };
        });
    });
  }

  /**
   * The lines of an inspection, in the order in which they were written within each chain; without
   * those that a later one says again, and those that went bad.
   */
  lines(inspection: string): Promise<LineRow[]> {
    return this.database.read(["lines"], async (tx) =>
      standing(await tx.by("lines", "inspection", inspection)),
    );
  }

  /** Documents that came down, of one kind. */
  documents(kind: string): Promise<DocumentRow[]> {
    return this.database.read(["documents"], (tx) => tx.by("documents", "kind", kind));
  }

  alarms(): Promise<AlarmRow[]> {
    return this.database.read(["alarms"], (tx) => tx.all("alarms"));
  }

  /** An alarm as a file that `liuhen-verify --fork` checks for anyone, where it is `proved`. */
  async alarmFile(alarm: AlarmRow): Promise<string> {
    const { forkProof } = await import("./trust");
    return `${JSON.stringify(forkProof(alarm), null, 1)}\n`;
  }

  /** What is in the way, the most pressing first; `sayFailure` has a sentence for each. */
  async troubles(): Promise<Trouble[]> {
    const { troubles } = await import("./troubles");
    return troubles(this.database, this.clock.read().wall_ms);
  }

  /** What is left of a device that was wiped; undefined where none was. */
  wiped(): Promise<WipedRow | undefined> {
    return this.database.read(["meta"], (tx) => getMeta(tx, "wiped"));
  }

  /** This journal's head, to type and to scan; undefined before enrolment. */
  async head(): Promise<{ readonly typed: string; readonly scanned: string } | undefined> {
    const found = await this.database.read(["meta", "epochs"], async (tx) => ({
      device: (await getMeta(tx, "enrolment"))?.device,
      epoch: await tx.last("epochs", "order"),
    }));
    if (found.device === undefined || found.epoch === undefined) return undefined;
    const { epoch, head, nextSeq } = found.epoch;
    const seq = nextSeq - 1;
    return {
      typed: spell(seq, head),
      scanned: spellFull({ device: found.device, epoch, seq, head }),
    };
  }

  status(): Promise<Status> {
    return this.database.read(["meta", "lines", "items", "alarms"], async (tx) => {
      const waiting = await tx.by("items", "waiting", IDBKeyRange.bound(["local"], ["local", []]));
      let linesOnlyHere = 0;
      for (const state of ONLY_HERE) {
        linesOnlyHere += await tx.count("lines", "state", inState(state));
      }
      return {
        enrolled: (await getMeta(tx, "enrolment")) !== undefined,
        hasPin: (await getMeta(tx, "vault")) !== undefined,
        unlocked: this.unlocked,
        linesOnlyHere,
        itemsOnlyHere: waiting.length,
        bytesOnlyHere: waiting.reduce((sum, item) => sum + item.size, 0),
        alarms: await tx.count("alarms"),
        lastSyncMs: (await getMeta(tx, "lastSyncMs")) ?? 0,
      };
    });
  }

  private async vault() {
    const row = await this.database.read(["meta"], (tx) => getMeta(tx, "vault"));
    if (row === undefined) throw new Failure("vault.locked", "no PIN was set");
    return row;
  }
}
