// Comparing the documents here with the server's, and repairing what silently came to differ
// (docs/protocol.md §4.4, Digest).
import {
  bucketOf,
  decodeSums,
  differing,
  documentDigest,
  fingerprint,
  foldInto,
  markText,
  placeOf,
} from "../evidence/divergence";
import { EvidenceError } from "../evidence/errors";
import type { Api } from "./api";
import { applyChange, pull } from "./feed";
import type { Database } from "./idb";
import { getMeta, putMeta } from "./meta";
import type { DocumentRow } from "./schema";

const MOST_BUCKETS = 64;
const EVERY_MS = 24 * 3_600_000;

interface Held {
  readonly row: DocumentRow;
  readonly place: bigint;
  readonly mark: bigint;
}

/** Whether the last comparison is a day ago, by a clock that may have been set back. */
export async function isDue(database: Database, nowMs: number): Promise<boolean> {
  const last = await database.read(["meta"], (tx) => getMeta(tx, "documentsComparedMs"));
  return Math.abs(nowMs - (last ?? 0)) >= EVERY_MS;
}

/** Compare straight after a pull, and repair; how many documents came or went for it. */
export async function repair(database: Database, api: Api, nowMs: number): Promise<number> {
  const changed = await compare(database, api);
  await database.write(["meta"], async (tx) => putMeta(tx, "documentsComparedMs", nowMs));
  return changed;
}

async function compare(database: Database, api: Api): Promise<number> {
  const cursor = await database.read(["meta"], (tx) => getMeta(tx, "feedCursor"));
  const theirs = await api.digest(cursor ?? "");
  if (theirs.reset) return 0;
  const { bits } = theirs;
  const ours = await held(database);
  const wrong = differing(foldInto(bits, ours), decodeSums(theirs.sums, bits));
  if (wrong.length === 0) return 0;
  if (wrong.length > MOST_BUCKETS) return beginAnew(database, api);
  const asked = new Map(wrong.map((bucket) => [String(bucket), [] as string[]]));
  const named = new Map<string, DocumentRow>();
  for (const { row, place, mark } of ours) {
    const marks = asked.get(String(bucketOf(place, bits)));
    if (marks === undefined) continue;
    marks.push(markText(mark));
    named.set(markText(mark), row);
  }
  const found = await api.repair(bits, Object.fromEntries(asked));
  const gone = found.gone.flatMap((mark) => named.get(mark) ?? []);
  await database.write(["documents"], async (tx) => {
    // An outdated version is gone as well: what comes in its place keeps the document.
    for (const { kind, id } of gone) await applyChange(tx, { op: "evict", kind, id, body: {} });
    for (const change of found.documents) await applyChange(tx, change);
  });
  if (found.more) await beginAnew(database, api);
  return gone.length + found.documents.length;
}

/** Too much differs for a repair: the feed begins again, and what it does not name goes. */
async function beginAnew(database: Database, api: Api): Promise<number> {
  await database.write(["meta", "documents"], async (tx) => {
    for (const row of await tx.all("documents")) tx.put("documents", { ...row, evicted: true });
    putMeta(tx, "feedCursor", "");
  });
  return pull(database, api);
}

/** A document that went bad here has a mark that none has, and so comes again. */
async function markOf({ kind, id, body }: DocumentRow): Promise<bigint> {
  try {
    return await fingerprint(kind, id, await documentDigest(body));
  } catch (error) {
    if (error instanceof EvidenceError) return 0n;
    throw error;
  }
}

/** The documents that count as held: those that wait to go are not in the server's sums. */
async function held(database: Database): Promise<Held[]> {
  const rows = await database.read(["documents"], (tx) => tx.all("documents"));
  return Promise.all(
    rows
      .filter((row) => !row.evicted)
      .map(async (row): Promise<Held> => {
        return { row, place: await placeOf(row.kind, row.id), mark: await markOf(row) };
      }),
  );
}
