// What came down with the feed, as screens read it: absent members stand for unknown values.
import { isObject, type Json, type JsonObject } from "../evidence/canonical";
import type { Field } from "../engine/field";
import { language } from "../texts";

export function text(body: Json | undefined, name: string): string {
  if (!isObject(body)) return "";
  const value = (body as JsonObject)[name];
  if (typeof value === "number") return String(value);
  return typeof value === "string" ? value : "";
}

export function number(body: Json | undefined, name: string): number | undefined {
  const value = isObject(body) ? (body as JsonObject)[name] : undefined;
  return typeof value === "number" ? value : undefined;
}

export function list(body: Json | undefined, name: string): readonly Json[] {
  const value = isObject(body) ? (body as JsonObject)[name] : undefined;
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

/** Bodies of one kind by their ids. */
export async function byId(field: Field, kind: string): Promise<ReadonlyMap<string, Json>> {
  return new Map((await field.documents(kind)).map((row) => [row.id, row.body]));
}

export function day(ms: number): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium" }).format(ms);
}

export function moment(ms: number): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(ms);
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  if (count < 2 ** 20) return `${Math.round(count / 1024)} kB`;
  return `${(count / 2 ** 20).toFixed(1)} MB`;
}

function locale(): string {
  return language.value === "zh" ? "zh-CN" : "en-GB";
}
