// Forms as data (docs/forms.md): which version is in force, what is asked for, what is lacking.
//
// A form never keeps evidence out: gaps are listed when an inspection is sealed, never before.
import { isObject, type Json, type JsonObject } from "../evidence/canonical";

export type Texts = Readonly<Record<"zh" | "en", string>>;

export interface Condition {
  readonly field: string;
  readonly is?: readonly Json[];
}

export type FieldType =
  | "text"
  | "long_text"
  | "integer"
  | "number"
  | "boolean"
  | "choice"
  | "datetime"
  | "person"
  | "location"
  | "signature"
  | "medium"
  | "sketch"
  | "group";

export interface FormField {
  readonly id: string;
  readonly type: FieldType;
  readonly label: Texts;
  readonly hint?: Texts;
  readonly required?: boolean | Condition;
  readonly shown_when?: Condition;
  readonly sensitive?: boolean;
  readonly units?: readonly string[];
  readonly options?: readonly { readonly id: string; readonly label: Texts }[];
  readonly multiple?: boolean;
  readonly min?: number;
  readonly max?: number;
  readonly fields?: readonly FormField[];
}

export interface Form {
  readonly id: string;
  readonly version: number;
  readonly title: Texts;
  readonly in_force_from?: string;
  readonly in_force_to?: string;
  readonly fields: readonly FormField[];
}

export type Values = Readonly<Record<string, Json>>;
export type GapKind = "missing" | "malformed" | "too_few" | "too_many" | "unknown";

/** `path` are field ids and, within groups, places from 0; `label` says where in words. */
export interface Gap {
  readonly path: readonly (string | number)[];
  readonly kind: GapKind;
  readonly label: Texts;
}

const BLANK = /^[ \t\r\n\u3000]*$/;
const DECIMAL = /^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?$/;
const DATETIME =
  /^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9]([+-][0-9]{2}:[0-9]{2})?$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const LIMITS = { text: 2_000, long_text: 20_000 } as const;
const PERSON = ["identity_number", "phone", "certificate_no", "organization", "position", "address"];
const DATUMS: readonly unknown[] = ["WGS-84", "GCJ-02", "BD-09"];
const SIGNATURES: Readonly<Record<string, readonly [readonly string[], readonly string[]]>> = {
  image: [["item"], ["name"]],
  paper: [[], ["item", "name"]],
  refused: [["reason"], ["witness"]],
  absent: [["reason"], ["witness"]],
};
const BEIJING_MS = 8 * 3_600_000;

/** The forms of which a record may be begun at that moment: of each the version in force. */
export function inForce(forms: readonly Form[], atMs: number): Form[] {
  const day = new Date(atMs + BEIJING_MS).toISOString().slice(0, 10);
  const found = new Map<string, Form>();
  for (const form of forms) {
    if ((form.in_force_from ?? "") > day || (form.in_force_to ?? "9999") < day) continue;
    const other = found.get(form.id);
    if (other === undefined || isLater(form, other)) found.set(form.id, form);
  }
  return [...found.values()];
}

function isLater(form: Form, other: Form): boolean {
  const [from, before] = [form.in_force_from ?? "", other.in_force_from ?? ""];
  return from > before || (from === before && form.version > other.version);
}

/** Whether a value counts as left empty; a record clears a field with "". */
export function isBlank(value: Json | undefined): boolean {
  if (value === undefined) return true;
  if (typeof value === "string") return BLANK.test(value);
  return Array.isArray(value) && value.length === 0;
}

export function isShown(field: FormField, record: Values): boolean {
  return field.shown_when === undefined || holds(field.shown_when, record);
}

export function isRequired(field: FormField, record: Values): boolean {
  if (!isShown(field, record) || field.required === undefined) return false;
  return typeof field.required === "boolean" ? field.required : holds(field.required, record);
}

function holds(condition: Condition, record: Values): boolean {
  const value = record[condition.field];
  if (condition.is === undefined) return !isBlank(value);
  const given = Array.isArray(value) ? (value as readonly Json[]) : [value];
  return condition.is.some((wanted) => given.includes(wanted));
}

/** What keeps a record, the values by field, from being complete; nothing if it is. */
export function lacking(form: Form, record: Values): Gap[] {
  return gapsOf(form.fields, record, [], { zh: "", en: "" });
}

function gapsOf(
  fields: readonly FormField[],
  record: Values,
  path: readonly (string | number)[],
  within: Texts,
): Gap[] {
  const known = new Set(fields.map((field) => field.id));
  const foreign = Object.keys(record)
    .filter((name) => !known.has(name))
    .sort();
  return [
    ...fields.flatMap((field) => {
      const label = joined(within, field.label);
      return gapsOfField(field, record, [...path, field.id], label);
    }),
    ...foreign.map((name): Gap => {
      const label = joined(within, { zh: name, en: name });
      return { path: [...path, name], kind: "unknown", label };
    }),
  ];
}

function gapsOfField(
  field: FormField,
  record: Values,
  path: readonly (string | number)[],
  label: Texts,
): Gap[] {
  const value = record[field.id];
  if (value === undefined || isBlank(value)) {
    return isRequired(field, record) ? [{ path, kind: "missing", label }] : [];
  }
  if (field.type === "group") return gapsOfGroup(field, value, path, label);
  return isWellFormed(field, value) ? [] : [{ path, kind: "malformed", label }];
}

function gapsOfGroup(
  field: FormField,
  value: Json,
  path: readonly (string | number)[],
  label: Texts,
): Gap[] {
  if (!Array.isArray(value) || !value.every(isObject)) return [{ path, kind: "malformed", label }];
  const entries = value as readonly Values[];
  const { min = 0, max = Infinity } = field;
  return [
    ...(entries.length < min ? [{ path, kind: "too_few", label } as const] : []),
    ...(entries.length > max ? [{ path, kind: "too_many", label } as const] : []),
    ...entries.flatMap((entry, place) => {
      const at = joined(label, { zh: ` ${place + 1} · `, en: ` ${place + 1} · ` });
      return gapsOf(field.fields ?? [], entry, [...path, place], at);
    }),
  ];
}

function joined(within: Texts, label: Texts): Texts {
  return { zh: within.zh + label.zh, en: within.en + label.en };
}

/** Whether a value that is not blank is of its field's type; not for groups. */
export function isWellFormed(field: FormField, value: Json): boolean {
  switch (field.type) {
    case "text":
    case "long_text":
      return typeof value === "string" && [...value].length <= LIMITS[field.type];
    case "integer":
      return isWhole(value, field.min, field.max);
    case "boolean":
      return typeof value === "boolean";
    case "number":
      return (
        has(value, ["value", "unit"]) &&
        matches(DECIMAL, value["value"]) &&
        (field.units ?? []).some((unit) => unit === value["unit"])
      );
    case "choice":
      return isChoice(field, value);
    case "datetime":
      return matches(DATETIME, value);
    case "person":
      return has(value, ["name"], PERSON) && allText(Object.values(value));
    case "location":
      return isLocation(value);
    case "signature":
      return isSignature(value);
    case "medium":
    case "sketch":
      return has(value, ["item"], ["note"]) && matches(UUID, value["item"]);
    case "group":
      return true;
  }
}

function isChoice(field: FormField, value: Json): boolean {
  const options = new Set<Json>((field.options ?? []).map((option) => option.id));
  if (field.multiple !== true) return options.has(value);
  if (!Array.isArray(value)) return false;
  return new Set(value).size === value.length && value.every((one: Json) => options.has(one));
}

function isLocation(value: Json): boolean {
  return (
    has(value, ["lat", "lon", "source_datum"], ["acc", "raw", "source"]) &&
    isWhole(value["lat"], -900_000_000, 900_000_000) &&
    isWhole(value["lon"], -1_800_000_000, 1_800_000_000) &&
    isWhole(value["acc"] ?? 0, 0, 2_000_000_000) &&
    DATUMS.includes(value["source_datum"])
  );
}

function isSignature(value: Json): boolean {
  if (!isObject(value)) return false;
  const [needed, allowed] = SIGNATURES[String(value["how"])] ?? [];
  if (needed === undefined || !has(value, ["how", ...needed], allowed)) return false;
  const { item, ...texts } = value as JsonObject;
  return allText(Object.values(texts)) && (item === undefined || matches(UUID, item));
}

function has(
  value: unknown,
  needed: readonly string[],
  allowed: readonly string[] = [],
): value is JsonObject {
  if (!isObject(value)) return false;
  const names = Object.keys(value);
  return (
    needed.every((name) => names.includes(name)) &&
    names.every((name) => needed.includes(name) || allowed.includes(name))
  );
}

function allText(values: readonly unknown[]): boolean {
  return values.every((value) => typeof value === "string" && !BLANK.test(value));
}

function matches(pattern: RegExp, value: unknown): boolean {
  return typeof value === "string" && pattern.test(value);
}

function isWhole(value: unknown, min = -(2 ** 53 - 1), max = 2 ** 53 - 1): boolean {
  return Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max;
}
