// Documents come down: each page and its cursor together, so that a pull may be cut anywhere.
import type { Api } from "./api";
import type { Database } from "./idb";
import { getMeta, putMeta } from "./meta";

/** Pull what changed since last time; answers how many documents came. */
export async function pull(database: Database, api: Api): Promise<number> {
  for (let count = 0; ; ) {
    const cursor = await database.read(["meta"], (tx) => getMeta(tx, "feedCursor"));
    const page = await api.feed(cursor ?? "");
    await database.write(["meta", "documents"], async (tx) => {
      if (page.reset) tx.clear("documents");
      for (const { op, kind, id, body } of page.documents) {
        if (op === "put") tx.put("documents", { kind, id, body, evicted: false });
        else if (op === "tombstone") tx.delete("documents", [kind, id]);
        else {
          // Not this device's any more: goes when nothing unsent may need it.
          const known = await tx.get("documents", [kind, id]);
          if (known !== undefined) tx.put("documents", { ...known, evicted: true });
        }
      }
      putMeta(tx, "feedCursor", page.cursor);
    });
    count += page.documents.length;
    if (!page.more) return count;
  }
}

/** Delete what is not this device's any more, unless something is still to be handed in. */
export async function letGo(database: Database): Promise<void> {
  await database.write(["lines", "items", "documents"], async (tx) => {
    const lines = await tx.count("lines", "state", IDBKeyRange.bound(["kept"], ["kept", []]));
    const items = await tx.count("items", "waiting", IDBKeyRange.bound(["local"], ["local", []]));
    if (lines + items > 0) return;
    for (const one of await tx.all("documents")) {
      if (one.evicted) tx.delete("documents", [one.kind, one.id]);
    }
  });
}
