// Documents come down: each page and its cursor together, so that a pull may be cut anywhere.
import type { Api, FeedChange } from "./api";
import type { Database, Transaction } from "./idb";
import { getMeta, putMeta } from "./meta";

/** Pull what changed since last time; answers how many documents came. */
export async function pull(database: Database, api: Api): Promise<number> {
  for (let count = 0; ; ) {
    const cursor = await database.read(["meta"], (tx) => getMeta(tx, "feedCursor"));
    const page = await api.feed(cursor ?? "");
    await database.write(["meta", "documents"], async (tx) => {
      // What does not come again goes when all has come, so that a cut leaves nobody without.
      if (page.reset) {
        for (const row of await tx.all("documents")) tx.put("documents", { ...row, evicted: true });
      }
      for (const change of page.documents) await applyChange(tx, change);
      putMeta(tx, "feedCursor", page.cursor);
    });
    count += page.documents.length;
    if (!page.more) return count;
  }
}

export async function applyChange(tx: Transaction, change: FeedChange): Promise<void> {
  const { op, kind, id, body } = change;
  if (op === "put") tx.put("documents", { kind, id, body, evicted: false });
  else if (op === "tombstone") tx.delete("documents", [kind, id]);
  else {
    // Not this device's any more: goes when nothing unsent may need it.
    const known = await tx.get("documents", [kind, id]);
    if (known !== undefined) tx.put("documents", { ...known, evicted: true });
  }
}

/** Delete what is not this device's any more, unless something is still to be handed in. */
export async function letGo(database: Database): Promise<void> {
  await database.write(["lines", "items", "documents"], async (tx) => {
    let waiting = await tx.count("items", "waiting", IDBKeyRange.bound(["local"], ["local", []]));
    for (const state of ["kept", "refused", "stranded"]) {
      waiting += await tx.count("lines", "state", IDBKeyRange.bound([state], [state, []]));
    }
    if (waiting > 0) return;
    for (const one of await tx.all("documents")) {
      if (one.evicted) tx.delete("documents", [one.kind, one.id]);
    }
  });
}
