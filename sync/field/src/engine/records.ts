// Records on the phone: what all known revisions come to, and saving what was changed.
import { concat, fromHex, toHex, utf8 } from "../evidence/bytes";
import { dumpText, isObject, load, type Json, type JsonObject } from "../evidence/canonical";
import { EvidenceError } from "../evidence/errors";
import type { Line, Part } from "../evidence/line";
import { merge, type Choice, type Merged, type Revision } from "../evidence/merge";
import type { Form, Values } from "./forms";
import type { Database } from "./idb";
import type { Journal } from "./journal";
import type { DocumentRow, LineRow } from "./schema";

/** The one record that an inspection has once, also when two officers begin it apart. */
const ONCE = "site_inspection_record";

export interface RecordView {
  readonly record: string;
  readonly template: { readonly id: string; readonly version: number };
  readonly values: Values;
  /** Fields on which revisions differ: all candidates are kept. */
  readonly conflicts: readonly string[];
  readonly merged: Merged;
  readonly revisions: readonly string[];
}

export interface Saving {
  readonly officer: string;
  readonly inspection: string;
  readonly record: string;
  readonly form: Form;
  readonly values: Values;
  /** What the editor saw: the record as it was when the form was opened. */
  readonly seen: RecordView | undefined;
}

interface Written {
  readonly record: string;
  readonly template: { readonly id: string; readonly version: number };
  readonly revision: Revision;
}

/** The parts of a line as they were signed; their digests were checked when it was written. */
export function partsOf(row: LineRow): JsonObject[] {
  const line = load(row.raw);
  const parts = isObject(line) ? line["b"] : [];
  return Array.isArray(parts) ? (parts as JsonObject[]) : [];
}

/**
 * The lines that say what holds: without those that a later line says again, and without what went
 * bad on the disk, which costs no other line anything and is told by `troubles`.
 */
export function standing(rows: readonly LineRow[]): LineRow[] {
  return rows.filter((row) => row.state !== "restated" && isReadable(row));
}

function isReadable(row: LineRow): boolean {
  try {
    return partsOf(row).length > 0;
  } catch (error) {
    if (error instanceof EvidenceError) return false;
    throw error;
  }
}

export async function readRecords(database: Database, inspection: string): Promise<RecordView[]> {
  const found = await database.read(["lines", "documents"], async (tx) => ({
    lines: standing(await tx.by("lines", "inspection", inspection)),
    revisions: await tx.by("documents", "kind", "revision"),
    addenda: await tx.by("documents", "kind", "addendum"),
  }));
  const here = (row: DocumentRow): boolean =>
    isObject(row.body) && row.body["inspection"] === inspection;
  const written = [
    ...found.lines.filter((row) => row.type === "record.saved").map(ofLine),
    ...found.revisions.filter(here).map(({ id, body }) => ofDocument(id, body as JsonObject)),
  ];
  const choices = [
    ...found.lines.filter((row) => row.type === "addendum.added").map((row) => choiceOf(row.digest, partsOf(row)[0] ?? {})),
    ...found.addenda.filter(here).map(({ id, body }) => choiceOf(id, body as JsonObject)),
  ];
  const records = [...new Set(written.map((one) => one.record))];
  return records.map((record) => {
    const own = written.filter((one) => one.record === record);
    const chosen = choices.filter((one) => one.record === record).map((one) => one.choice);
    return view(record, own, chosen);
  });
}

function view(record: string, own: readonly Written[], choices: readonly Choice[]): RecordView {
  const merged = merge(own.map((one) => one.revision), choices);
  const fields = Object.entries(merged.fields);
  return {
    record,
    template: own[0]?.template ?? { id: "", version: 0 },
    values: Object.fromEntries(
      fields.flatMap(([name, field]) => {
        const shown = field.candidates[0];
        return shown === undefined ? [] : [[name, shown.value]];
      }),
    ),
    conflicts: fields.filter(([, field]) => field.conflict).map(([name]) => name),
    merged,
    revisions: [...new Set(own.map((one) => one.revision.digest))].sort(),
  };
}

/** Sign what differs from what was seen; null if nothing does. */
export async function saveRecord(journal: Journal, saving: Saving): Promise<Line | null> {
  const { officer, inspection, record, form, seen } = saving;
  const changed = Object.entries(saving.values).filter(([name, value]) => {
    const before = seen?.values[name];
    if (before === undefined) return value !== "";
    return (seen?.conflicts.includes(name) ?? false) || dumpText(before) !== dumpText(value);
  });
  if (changed.length === 0) return null;
  const apart = new Set(form.fields.filter((one) => one.sensitive === true).map((one) => one.id));
  const open = changed.filter(([name]) => !apart.has(name));
  const parts = changed
    .filter(([name]) => apart.has(name))
    .map(([field, value]): Part => ({ field, value }));
  const act = {
    type: "record.saved",
    officer,
    inspection,
    record,
    template: { id: form.id, version: form.version },
    fields: Object.fromEntries(open),
    base: seen === undefined ? [] : [...seen.merged.heads],
  };
  return journal.append(act, parts);
}

/** The id of a record that is begun: two officers must name the one that is there once alike. */
export async function newRecordId(inspection: string, template: string): Promise<string> {
  return template === ONCE ? uuid5(inspection, template) : crypto.randomUUID();
}

/** RFC 9562, version 5. */
export async function uuid5(namespace: string, name: string): Promise<string> {
  const input = concat(fromHex(namespace.replace(/-/g, "")), utf8(name));
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-1", input)).slice(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Text in the one normal form, and line ends as one character: canonical JSON keeps its bytes. */
export function inNormalForm(value: Json): Json {
  if (typeof value === "string") return value.normalize("NFC").replace(/\r\n?/g, "\n");
  if (Array.isArray(value)) return (value as readonly Json[]).map(inNormalForm);
  if (!isObject(value)) return value;
  const entries = Object.entries(value as JsonObject);
  return Object.fromEntries(entries.map(([name, one]) => [name, inNormalForm(one)]));
}

function ofLine(row: LineRow): Written {
  const [act = {}, ...apart] = partsOf(row);
  const sensitive = apart.map((part) => [String(part["field"]), part["value"] ?? ""] as const);
  return ofDocument(row.digest, {
    ...act,
    fields: { ...(act["fields"] as JsonObject), ...Object.fromEntries(sensitive) },
  });
}

function ofDocument(digest: string, body: JsonObject): Written {
  const template = body["template"] as { readonly id: string; readonly version: number };
  const base = body["base"] as readonly string[];
  return {
    record: String(body["record"]),
    template,
    revision: { digest, base, fields: body["fields"] as Values },
  };
}

function choiceOf(digest: string, body: JsonObject): { record: string; choice: Choice } {
  const base = (body["base"] ?? []) as readonly string[];
  const [field, chosen] = [String(body["field"] ?? ""), String(body["chosen"] ?? "")];
  return {
    // A further word on the inspection settles nothing.
    record: field === "" ? "" : String(body["record"] ?? ""),
    choice: { digest, base, field, chosen },
  };
}
