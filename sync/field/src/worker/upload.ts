// The worker that uploads: reads and decrypts bytes away from the screen, and sends them.
/// <reference lib="webworker" />
import { Api } from "../engine/api";
import { Database } from "../engine/idb";
import { getMeta } from "../engine/meta";
import { Uploader, type Progress } from "../engine/uploader";
import type { FromWorker, ToWorker } from "../engine/uploads";

// The library's types take every worker for a shared or dedicated one at once.
const worker = self as unknown as DedicatedWorkerGlobalScope;

worker.addEventListener("message", (event: MessageEvent<ToWorker>) => {
  run(event.data).then(tell, (error: unknown) => tell({ kind: "failed", reason: String(error) }));
});

function tell(message: FromWorker): void {
  worker.postMessage(message);
}

async function run({ key, rules }: ToWorker): Promise<FromWorker> {
  const database = new Database();
  try {
    const { enrolment, deviceKey } = await database.read(["meta"], async (tx) => ({
      enrolment: await getMeta(tx, "enrolment"),
      deviceKey: await getMeta(tx, "key"),
    }));
    if (enrolment === undefined || deviceKey === undefined) {
      return { kind: "failed", reason: "journal.not_enrolled" };
    }
    const api = new Api(deviceKey, enrolment.device, enrolment.origin);
    const progress = (at: Progress) => tell({ kind: "progress", progress: at });
    const uploader = new Uploader(database, api, key, progress, rules);
    return { kind: "done", report: await uploader.run() };
  } finally {
    await database.close();
  }
}
