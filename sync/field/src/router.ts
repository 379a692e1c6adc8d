// Where the app is: hash routes, so that every screen opens offline from the one cached page.
import { signal } from "@preact/signals";

/** The path after the hash: `/today`, `/task/<id>`, `/inspection/<id>/...`. */
export const path = signal(here());

addEventListener("hashchange", () => {
  path.value = here();
});

/** Go to `to`, which begins with a slash; the phone's own way back leads here again. */
export function go(to: string): void {
  location.hash = to;
  path.value = to;
}

/** Go to `to` without a way back to where the user is now, as after a log-in. */
export function replace(to: string): void {
  history.replaceState(null, "", `#${to}`);
  path.value = to;
}

/** The parts of a path, each as it was before it was put into the address. */
export function partsOf(of: string): string[] {
  return of
    .split("/")
    .filter((part) => part !== "")
    .map(decodeURIComponent);
}

function here(): string {
  return location.hash.startsWith("#/") ? location.hash.slice(1) : "/today";
}
