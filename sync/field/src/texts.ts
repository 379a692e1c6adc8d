// The texts of the field app, from the catalogue that server and clients share.
import { signal } from "@preact/signals";
import type { FailureCode } from "./engine/failures";
import catalogue from "../../catalogue/field.json";

export type Language = "zh" | "en";
export type TextKey = keyof typeof catalogue;

const STORED = "liuhen.language";

export const language = signal<Language>(localStorage.getItem(STORED) === "en" ? "en" : "zh");

export function choose(chosen: Language): void {
  localStorage.setItem(STORED, chosen);
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  language.value = chosen;
}

/** The text of `key` in the language of the screen; `{name}` is replaced by its value. */
export function say(key: TextKey, values: Readonly<Record<string, string | number>> = {}): string {
  return catalogue[key][language.value].replace(/\{(\w+)\}/g, (whole, name: string) =>
    String(values[name] ?? whole),
  );
}

/** What went wrong and what to do next, in a sentence; the type demands one for every code. */
export function sayFailure(code: FailureCode): string {
  return say(`field.failure.${code}`);
}
