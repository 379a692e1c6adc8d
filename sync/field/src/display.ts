// How the app looks on this phone: size of type and theme, kept beside the language.
import { effect, signal } from "@preact/signals";

export const SIZES = [100, 125, 150, 175, 200] as const;
export const THEMES = ["auto", "light", "dark", "sunlight"] as const;
export type Theme = (typeof THEMES)[number];

const SIZE = "liuhen.size";
const THEME = "liuhen.theme";

/** Percent of the usual size of type. */
export const size = signal<number>(known(SIZES, Number(localStorage.getItem(SIZE))) ?? 100);
export const theme = signal<Theme>(known(THEMES, localStorage.getItem(THEME)) ?? "auto");

export function chooseSize(chosen: number): void {
  localStorage.setItem(SIZE, String(chosen));
  size.value = chosen;
}

export function chooseTheme(chosen: Theme): void {
  localStorage.setItem(THEME, chosen);
  theme.value = chosen;
}

/** Keep the page as it was chosen, from before it is first drawn. */
export function dress(): void {
  effect(() => {
    document.documentElement.style.fontSize = `${size.value}%`;
    document.documentElement.dataset["theme"] = theme.value;
  });
}

function known<T>(all: readonly T[], stored: unknown): T | undefined {
  return all.find((one) => one === stored);
}
