// What became of lines after their push was answered: asked for, not waited for.
import type { Api } from "./api";
import { isFailure } from "./failures";
import type { Database } from "./idb";
import { getMeta, putMeta } from "./meta";

/** Take over later changes of fate, with a reviewer's decision where there is one. */
export async function learn(database: Database, api: Api): Promise<void> {
  for (let cursor = await database.read(["meta"], (tx) => getMeta(tx, "outcomesCursor")); ; ) {
    const page = await api.outcomes(cursor ?? "").catch((error: unknown) => {
      // The cursor of another generation: every change is told again from the start.
      const foreign = isFailure(error, "link.refused") && error.status === 422;
      if (!foreign || (cursor ?? "") === "") throw error;
      return null;
    });
    if (page === null) {
      cursor = "";
      continue;
    }
    await database.write(["meta", "lines"], async (tx) => {
      for (const { epoch, seq, digest, ...fate } of page.outcomes) {
        const line = await tx.get("lines", [epoch, seq]);
        if (line?.digest === digest) tx.put("lines", { ...line, ...fate });
      }
      putMeta(tx, "outcomesCursor", page.cursor);
    });
    if (!page.more || page.cursor === cursor) return;
    cursor = page.cursor;
  }
}
