// Following the server's ledger: into its next generation, and under another key of its own.
//
// A restored backup goes on under a new name. It is believed only if the key that was pinned, or
// one to which that leads, signed it, and if its first leaf says from which ledger it took over
// (docs/protocol.md §4.2). What was seen of the old one stays here as proof.
import { fromHex, same, sha256, utf8 } from "../evidence/bytes";
import { isObject, load } from "../evidence/canonical";
import type { Checkpoint } from "../evidence/checkpoint";
import { EvidenceError } from "../evidence/errors";
import { leafHash, verifyConsistency, verifyInclusion } from "../evidence/merkle";
import { parseVerifierKey } from "../evidence/note";
import { holds, successors } from "../evidence/succession";
import { generations, type Api, type Life } from "./api";
import { Failure, isFailure } from "./failures";
import type { Database } from "./idb";
import { getMeta, putMeta, type Enrolment } from "./meta";
import { raiseAlarm, readCheckpoint, readKeptCheckpoint } from "./trust";

/** What the first leaf of a generation says of the one that ended. */
interface Ended {
  readonly origin: string;
  readonly size: number;
  readonly root: string;
}

/** A generation that is believed: how it is pinned, and the leaf that says where it began. */
export interface Successor {
  readonly enrolment: Enrolment;
  readonly checkpoint: string;
  readonly ended: Ended;
}

/**
 * Pin the generation that calls itself `origin`; answers how, with what there is to say about it.
 * Lines and receipts stay: whatever the restored server lacks it asks for when lines are pushed.
 */
export async function follow(
  database: Database,
  enrolment: Enrolment,
  api: Api,
  origin: string,
): Promise<{ readonly enrolment: Enrolment; readonly said: Failure }> {
  const lives = await generations();
  const successor = await believe(enrolment, lives, origin);
  const keptNote = (await database.read(["meta"], (tx) => getMeta(tx, "checkpoint"))) ?? "";
  const kept = await readKeptCheckpoint(keptNote, enrolment);
  api.speakTo(origin);
  const said = await compare(database, keptNote, kept, enrolment, successor, api);
  await database.write(["meta"], async (tx) => {
    const notices = (await getMeta(tx, "notices")) ?? [];
    const notice = {
      generation: successor.enrolment.generation,
      kept: keptNote,
      generations: JSON.stringify(lives),
      atMs: Date.now(),
    };
    putMeta(tx, "notices", [...notices, notice]);
    putMeta(tx, "enrolment", successor.enrolment);
    putMeta(tx, "checkpoint", successor.checkpoint);
  });
  return { enrolment: successor.enrolment, said };
}

/** The generation `origin`, if each one on the way from ours to it is proved. */
export async function believe(
  enrolment: Enrolment,
  lives: readonly Life[],
  origin: string,
): Promise<Successor> {
  const ours = new Set([enrolment.origin]);
  let found: Successor | null = null;
  for (const life of lives) {
    if (life.restore === null || ours.has(life.origin)) continue;
    const pinned = await pinnedBy(enrolment, life, lives);
    const { ended, known } = await provedBy(life, pinned);
    if (![ended.origin, ...known].some((name) => ours.has(name))) continue;
    ours.add(life.origin);
    found = { enrolment: pinned, checkpoint: life.checkpoint, ended };
  }
  if (found?.enrolment.origin !== origin) throw new Failure("trust.generation_changed", origin);
  return found;
}

/** `enrolment` under the key by which our ledger signs now, if ours leads to it; else as it is. */
export async function renewKey(enrolment: Enrolment, lives: readonly Life[]): Promise<Enrolment> {
  const life = lives.find((one) => one.origin === enrolment.origin);
  if (life === undefined || life.ledgerKey === enrolment.ledgerKey) return enrolment;
  if (!(await takesOver(enrolment, life, lives))) return enrolment;
  const earlierLedgerKeys = [...(enrolment.earlierLedgerKeys ?? []), enrolment.ledgerKey];
  return { ...enrolment, ledgerKey: life.ledgerKey, earlierLedgerKeys };
}

/** Whether the ledger key of `life` is ours, or one that ours named, directly or by others. */
async function takesOver(
  enrolment: Enrolment,
  life: Life,
  lives: readonly Life[],
): Promise<boolean> {
  try {
    const key = await parseVerifierKey(life.ledgerKey);
    const endorsements = lives.flatMap((one) => one.endorsements);
    const reached = await successors([await parseVerifierKey(enrolment.ledgerKey)], endorsements);
    return key.name === life.origin && holds(reached, key);
  } catch (error) {
    if (error instanceof EvidenceError) return false;
    throw error;
  }
}

/** `enrolment` under the name of `life`, whose keys must be ours, or lead from ours. */
async function pinnedBy(
  enrolment: Enrolment,
  life: Life,
  lives: readonly Life[],
): Promise<Enrolment> {
  const { origin, generation, ledgerKey, receiptKey } = life;
  const fits = await believed(async () => {
    const key = await parseVerifierKey(receiptKey);
    const known = await parseVerifierKey(enrolment.receiptKey);
    return key.name === `${origin}/receipt` && same(key.publicKey, known.publicKey);
  }, origin);
  if (!fits || !(await takesOver(enrolment, life, lives))) {
    throw new Failure("trust.generation_changed", origin);
  }
  const before = {
    origin: enrolment.origin,
    generation: enrolment.generation,
    receiptKey: enrolment.receiptKey,
  };
  const earlier = [...(enrolment.earlier ?? []), before];
  return { ...enrolment, origin, generation, ledgerKey, receiptKey, earlier };
}

/** What the first leaf of `life` says of the ledger that ended, and which it says to have lost. */
async function provedBy(
  life: Life,
  pinned: Enrolment,
): Promise<{ readonly ended: Ended; readonly known: readonly string[] }> {
  return believed(async () => {
    const { restore } = life;
    if (restore === null) throw unreadable("no restore");
    const head = await readCheckpoint(life.checkpoint, pinned);
    const raw = utf8(restore.event);
    const path = restore.path.map((node) => fromHex(node, 32));
    const entry = await sha256(fromHex(restore.salt), raw);
    const proof = { index: 0, size: head.size, path, root: head.root };
    await verifyInclusion(await leafHash(entry), proof);
    return readEvent(load(raw));
  }, life.origin);
}

function readEvent(event: unknown): { readonly ended: Ended; readonly known: string[] } {
  if (!isObject(event) || event["kind"] !== "restore") throw unreadable("another event");
  const { subject, snapshot } = event;
  if (!isObject(subject) || !isObject(snapshot)) throw unreadable("subject");
  const { origin, size, root } = subject;
  const known = snapshot["known"] ?? [];
  if (typeof origin !== "string" || typeof root !== "string") throw unreadable("subject");
  if (typeof size !== "number" || size < 0 || !Array.isArray(known)) throw unreadable("subject");
  fromHex(root, 32);
  const names = known.map((row: unknown) => (isObject(row) ? row["origin"] : undefined));
  return {
    ended: { origin, size, root },
    known: names.filter((name) => typeof name === "string"),
  };
}

/** Whether what we saw of the old ledger was taken over, is lost, or was rewritten. */
async function compare(
  database: Database,
  keptNote: string,
  kept: Checkpoint,
  enrolment: Enrolment,
  successor: Successor,
  api: Api,
): Promise<Failure> {
  const { ended } = successor;
  const now = `generation ${successor.enrolment.generation}`;
  if (ended.origin !== kept.origin || kept.size > ended.size) {
    const lost = kept.size - (ended.origin === kept.origin ? ended.size : 0);
    return new Failure("trust.ledger_restored", `${now}, ${lost} entries lost`);
  }
  const path = await api.consistency(kept.size, ended.size, enrolment.generation);
  try {
    await verifyConsistency({
      first: kept.size,
      second: ended.size,
      firstRoot: kept.root,
      secondRoot: fromHex(ended.root, 32),
      path,
    });
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    const alarm = { kept: keptNote, got: successor.checkpoint, reason: error.message };
    return raiseAlarm(database, enrolment, alarm);
  }
  return new Failure("trust.ledger_restored", `${now}, nothing lost`);
}

/** What does not hold is a generation that is not believed, whatever about it it is. */
async function believed<T>(work: () => Promise<T>, origin: string): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const untrue =
      error instanceof EvidenceError || isFailure(error, "trust.checkpoint_invalid");
    if (!untrue) throw error;
    throw new Failure("trust.generation_changed", origin, { cause: error });
  }
}

function unreadable(what: string): EvidenceError {
  return new EvidenceError("journal.malformed", `restore: ${what}`);
}
