// The inspections that this phone's own journal opened, and whether it has sealed them.
import type { Bytes } from "../evidence/bytes";
import { EvidenceError } from "../evidence/errors";
import { parseLine, type Act } from "../evidence/line";
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

/** The newest first, by the clock that this phone had. */
export async function visits(database: Database): Promise<Visit[]> {
  const { opened, seals } = await database.read(["lines"], async (tx) => ({
    opened: await tx.by("lines", "type", "inspection.opened"),
    seals: await tx.by("lines", "type", "inspection.sealed"),
  }));
  const sealed = new Set(seals.map((row) => row.inspection));
  const found = await Promise.all(
    opened.map(async ({ raw, inspection }): Promise<Visit> => {
      const { act, openedAtMs } = await openingOf(raw);
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
        openedAtMs,
        sealed: sealed.has(inspection),
      };
    }),
  );
  // A line that was refused is said again, and stands here twice.
  const each = new Map(found.map((one) => [one.inspection, one]));
  return [...each.values()].sort((a, b) => b.openedAtMs - a.openedAtMs);
}

/** What the first line of a visit says; where it went bad, the visit is still there, unnamed. */
async function openingOf(raw: Bytes): Promise<{ readonly act: Act; readonly openedAtMs: number }> {
  try {
    const { act, header } = await parseLine(raw);
    return { act, openedAtMs: header.t.wall_ms };
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    return { act: { type: "inspection.opened" }, openedAtMs: 0 };
  }
}
