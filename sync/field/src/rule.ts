// The user's rule for giving room back: by hand, or after a sync once files are old enough.
import { signal } from "@preact/signals";

export const RULES = ["by_hand", "week", "at_once"] as const;
export type Rule = (typeof RULES)[number];

const STORED = "liuhen.freeing";
const WEEK_MS = 7 * 86_400_000;

export const rule = signal<Rule>(
  RULES.find((one) => one === localStorage.getItem(STORED)) ?? "by_hand",
);

export function chooseRule(chosen: Rule): void {
  localStorage.setItem(STORED, chosen);
  rule.value = chosen;
}

/** Files taken before this moment may go by themselves; null where none may. */
export function freeBefore(now: number): number | null {
  if (rule.value === "by_hand") return null;
  return rule.value === "week" ? now - WEEK_MS : now;
}
