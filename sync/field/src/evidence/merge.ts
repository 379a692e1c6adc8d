// Merging the revisions of one record, the same on every side (docs/protocol.md §4.3).
//
// Who saw what decides, never a clock and never the order of arrival; only which of several
// candidates is shown first follows their places in the ledger. No value is ever dropped.
import { dumpText, type Json } from "./canonical";

/** The place of a line that has none in the ledger yet: after all that have. */
export const UNSENT = 2 ** 53;

/** The fields that one saved revision changed, and the digests of what its author saw. */
export interface Revision {
  readonly digest: string;
  readonly base: readonly string[];
  readonly fields: Readonly<Record<string, Json>>;
  readonly position?: number;
  readonly outsideSeal?: boolean;
}

/** An addendum that says whose value of a field stands: that of the line `chosen`. */
export interface Choice {
  readonly digest: string;
  readonly base: readonly string[];
  readonly field: string;
  readonly chosen: string;
  readonly position?: number;
}

export type Standing = "applied" | "merged" | "conflict";

export interface Candidate {
  readonly digest: string;
  readonly value: Json;
}

/** `candidates` begin with the one shown; without a conflict, several only where one was chosen. */
export interface Field {
  readonly candidates: readonly Candidate[];
  readonly conflict: boolean;
  readonly settledBy: string;
}

export interface Merged {
  readonly fields: Readonly<Record<string, Field>>;
  readonly standing: Readonly<Record<string, Standing>>;
  /** What the next revision or choice names as its base. */
  readonly heads: readonly string[];
}

interface Node {
  readonly digest: string;
  readonly position: number;
  readonly outside: boolean;
  readonly isChoice: boolean;
  /** The revision whose values these are. */
  readonly source: string;
  readonly fields: Readonly<Record<string, Json>>;
  readonly seen: ReadonlySet<Node>;
  readonly after: ReadonlySet<Node>;
}

/** Merge all that is known of one record; repetitions and order change nothing. */
export function merge(revisions: readonly Revision[], choices: readonly Choice[] = []): Merged {
  const nodes = nodesOf(revisions, choices);
  const names = [...new Set(nodes.flatMap((node) => Object.keys(node.fields)))].sort();
  const fields: Record<string, Field> = {};
  const disputed = new Set<Node>();
  for (const name of names) {
    const { field, tips } = standingOf(nodes, name);
    fields[name] = field;
    if (field.conflict) for (const tip of tips) disputed.add(tip);
  }
  return {
    fields,
    standing: Object.fromEntries(
      nodes.map((node) => [node.digest, lineStanding(node, nodes.length, disputed.has(node))]),
    ),
    heads: nodes.filter((node) => node.after.size === 0).map((node) => node.digest),
  };
}

function nodesOf(revisions: readonly Revision[], choices: readonly Choice[]): Node[] {
  const given = new Map(revisions.map((revision) => [revision.digest, revision]));
  const lines = new Map<string, { line: Revision | Choice; isChoice: boolean }>();
  for (const line of revisions) lines.set(line.digest, { line, isChoice: false });
  for (const line of choices) lines.set(line.digest, { line, isChoice: true });
  const made = new Map<string, Node & { seen: Set<Node>; after: Set<Node> }>();
  const ordered = [...lines.values()].sort((a, b) => (a.line.digest < b.line.digest ? -1 : 1));
  for (const { line } of ordered) {
    const { source, fields } = valuesOf(line, given);
    made.set(line.digest, {
      digest: line.digest,
      position: line.position ?? UNSENT,
      outside: !("chosen" in line) && line.outsideSeal === true,
      isChoice: "chosen" in line,
      source,
      fields,
      seen: new Set(),
      after: new Set(),
    });
  }
  for (const { line } of ordered) {
    const node = made.get(line.digest);
    // Seeing is transitive; a base names lines that were there before, so there is no circle.
    const waiting = [...line.base];
    for (let digest = waiting.pop(); digest !== undefined; digest = waiting.pop()) {
      const parent = made.get(digest);
      if (node === undefined || parent === undefined || node.seen.has(parent)) continue;
      node.seen.add(parent);
      parent.after.add(node);
      waiting.push(...(lines.get(digest)?.line.base ?? []));
    }
  }
  return [...made.values()];
}

/** Whose values a line gives, and which; a choice waits until what it chose is here. */
function valuesOf(
  line: Revision | Choice,
  given: ReadonlyMap<string, Revision>,
): Pick<Node, "source" | "fields"> {
  if (!("chosen" in line)) return { source: line.digest, fields: line.fields };
  const value = given.get(line.chosen)?.fields[line.field];
  return { source: line.chosen, fields: value === undefined ? {} : { [line.field]: value } };
}

function standingOf(nodes: readonly Node[], name: string): { field: Field; tips: readonly Node[] } {
  const setters = nodes.filter((node) => Object.hasOwn(node.fields, name));
  const tips = unfollowed(setters);
  const candidate = (node: Node): Candidate => ({
    digest: node.source,
    value: node.fields[name] ?? "",
  });
  const candidates = shownFirst(tips).map(candidate);
  const settled = (field: Partial<Field>) => ({
    field: { candidates, conflict: false, settledBy: "", ...field },
    tips,
  });
  if (different(candidates).size > 1) return settled({ conflict: true });
  const [last, ...others] = shownFirst(tips);
  if (last === undefined || others.length > 0) return settled({});
  const before = shownFirst(unfollowed(setters.filter((node) => node !== last))).map(candidate);
  if (!last.isChoice && different(before).size < 2) return settled({});
  const chosen = different(candidates);
  const passedOver = before.filter((one) => !chosen.has(dumpText(one.value)));
  return settled({ candidates: [...candidates, ...passedOver], settledBy: last.digest });
}

/** Those of `among` whose values no other line of them replaces. */
function unfollowed(among: readonly Node[]): Node[] {
  const replaced = new Set<Node>();
  for (const node of among) {
    // What came after the seal stands beside what was sealed and never replaces it.
    for (const earlier of node.seen) if (!node.outside || earlier.outside) replaced.add(earlier);
  }
  return among.filter((node) => !replaced.has(node));
}

/** What was sealed before what was not, the later place in the ledger before the earlier. */
function shownFirst(among: readonly Node[]): Node[] {
  return [...among].sort(
    (a, b) =>
      Number(a.outside) - Number(b.outside) ||
      b.position - a.position ||
      (a.digest < b.digest ? 1 : -1),
  );
}

/** The values that differ as signed. */
function different(candidates: readonly Candidate[]): Set<string> {
  return new Set(candidates.map((one) => dumpText(one.value)));
}

function lineStanding(node: Node, count: number, disputed: boolean): Standing {
  if (disputed) return "conflict";
  const known = node.seen.size + node.after.size + 1;
  return !node.isChoice && known < count ? "merged" : "applied";
}
