// The texts of the field app, from the catalogue that server and clients share.
import { signal } from "@preact/signals";
import type { FailureCode } from "./engine/failures";
import zh from "virtual:texts/zh";
import type catalogue from "../../catalogue/field.json";

export type Language = "zh" | "en";
export type TextKey = keyof typeof catalogue;

const STORED = "liuhen.language";

/** What was chosen before. */
export const stored: Language = localStorage.getItem(STORED) === "en" ? "en" : "zh";
export const language = signal<Language>("zh");

const texts: Partial<Record<Language, Readonly<Record<string, string>>>> = { zh };

/** Change the language, once its texts are here: they lie in the app's own cache. */
export async function choose(chosen: Language): Promise<void> {
  if (chosen === "en") texts.en ??= (await import("virtual:texts/en")).default;
  localStorage.setItem(STORED, chosen);
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  language.value = chosen;
}

/** The text of `key` in the language of the screen; `{name}` is replaced by its value. */
export function say(key: TextKey, values: Readonly<Record<string, string | number>> = {}): string {
  const text = texts[language.value]?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) =>
    String(values[name] ?? whole),
  );
}

/** What went wrong and what to do next, in a sentence; the type demands one for every code. */
export function sayFailure(code: FailureCode): string {
  return say(`field.failure.${code}`);
}
