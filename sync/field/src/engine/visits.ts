// The inspections that this phone's own journal opened, and whether it has sealed them.
import { parseLine } from "../evidence/line";
import type { Database } from "./idb";

export interface Visit {
  readonly inspection: string;
  readonly title: string;
  readonly task: string;
  readonly entity: string;
  readonly officers: readonly string[];
  readonly openedAtMs: number;
  readonly sealed: boolean;
}

const OF_ANY = IDBKeyRange.lowerBound("", true);

/** The newest first, by the clock that this phone had. */
export async function visits(database: Database): Promise<Visit[]> {
  const rows = await database.read(["lines"], (tx) => tx.by("lines", "inspection", OF_ANY));
  const sealed = new Set(
    rows.filter((row) => row.type === "inspection.sealed").map((row) => row.inspection),
  );
  const opened = rows.filter((row) => row.type === "inspection.opened");
  const found = await Promise.all(
    opened.map(async ({ raw, inspection }): Promise<Visit> => {
      const { act, header } = await parseLine(raw);
      const named = (name: string): string => {
        const value = act[name];
        return typeof value === "string" ? value : "";
      };
      const officers = act["officers"];
      return {
        inspection,
        title: named("title"),
        task: named("task"),
        entity: named("entity"),
        officers: Array.isArray(officers) ? officers.map(String) : [],
        openedAtMs: header.t.wall_ms,
        sealed: sealed.has(inspection),
      };
    }),
  );
  return found.sort((a, b) => b.openedAtMs - a.openedAtMs);
}
