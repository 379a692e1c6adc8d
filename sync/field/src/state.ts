// What several screens show: how this phone stands, and the sync that is under way.
import { signal } from "@preact/signals";
import { askToPersist } from "./engine/abilities";
import type { Field, Status } from "./engine/field";
import { isFailure } from "./engine/failures";
import type { SessionRow, WipedRow } from "./engine/meta";
import type { SyncReport } from "./engine/sync";
import type { Progress } from "./engine/uploader";
import { visits, type Visit } from "./engine/visits";
import { path } from "./router";
import { freeBefore } from "./rule";
import { say, sayFailure } from "./texts";

/** Null until the local database has been read once. */
export const status = signal<Status | null>(null);
export const sessions = signal<readonly SessionRow[]>([]);
export const ownVisits = signal<readonly Visit[]>([]);
/** What is left of a device that was emptied as its administrator asked. */
export const wiped = signal<WipedRow | undefined>(undefined);
/** Whether the browser promised to clear nothing; null until it was asked. */
export const persisted = signal<boolean | null>(null);
/** Why the local database cannot be read; empty where it can. */
export const trouble = signal("");

export const syncing = signal(false);
export const progress = signal<Progress | null>(null);
/** What the last sync since the app was opened has told. */
export const report = signal<SyncReport | null>(null);

const EVERY_MS = 5 * 60_000;
const ASIDE_MS = 5 * 60_000;

/** Read anew what the banners show; call it after whatever changes what this phone holds. */
export async function refresh(field: Field): Promise<void> {
  try {
    [wiped.value, sessions.value, ownVisits.value, status.value] = await Promise.all([
      field.wiped(),
      field.sessions(),
      visits(field.database),
      field.status(),
    ]);
    trouble.value = "";
  } catch (error) {
    trouble.value = sayError(error);
  }
}

export async function persist(): Promise<void> {
  persisted.value = await askToPersist().catch(() => false);
}

/** Sync once; while one is under way, nothing more is begun. */
export async function syncNow(field: Field): Promise<void> {
  if (syncing.value || status.value?.enrolled !== true) return;
  syncing.value = true;
  try {
    report.value = await field.sync((at) => {
      progress.value = at;
    });
    const beforeMs = freeBefore(Date.now());
    if (beforeMs !== null && report.value.problems.length === 0) {
      const { freeCopies } = await import("./engine/freeing");
      await freeCopies(field.database, { beforeMs, really: true });
    }
  } catch (error) {
    trouble.value = sayError(error);
  } finally {
    syncing.value = false;
    progress.value = null;
    await refresh(field);
  }
}

/** Sync when the network comes back, when the app does, and every few minutes meanwhile. */
export function syncByItself(field: Field): void {
  const attempt = (): void => {
    if (document.visibilityState === "visible" && field.unlocked) void syncNow(field);
  };
  addEventListener("online", attempt);
  document.addEventListener("visibilitychange", attempt);
  setInterval(attempt, EVERY_MS);
}

/** Lock a phone that lay aside for a while, never one on which a visit is shown. */
export function lockByItself(field: Field): void {
  let hiddenAtMs = Infinity;
  document.addEventListener("visibilitychange", () => {
    const now = performance.now();
    if (document.visibilityState === "hidden") hiddenAtMs = now;
    else if (now - hiddenAtMs > ASIDE_MS && !path.value.startsWith("/inspection/")) {
      field.lock();
      void refresh(field);
    }
  });
}

/** A sentence with the next step for whatever was thrown. */
export function sayError(error: unknown): string {
  if (!isFailure(error)) return say("field.error.unexpected", { detail: String(error) });
  const code = error.problem === "" ? error.code : `${error.code} ${error.problem}`;
  return `${sayFailure(error.code)} (${code})`;
}
