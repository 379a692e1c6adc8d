// The page's side of the uploading worker.
import { Failure } from "./failures";
import type { Progress, UploadReport } from "./uploader";
import type { Rules } from "./windows";

export interface ToWorker {
  readonly key: CryptoKey;
  readonly rules: Rules;
}

export type FromWorker =
  | { readonly kind: "progress"; readonly progress: Progress }
  | { readonly kind: "done"; readonly report: UploadReport }
  | { readonly kind: "failed"; readonly reason: string };

/** Run one pass of uploads in a worker of its own; `key` opens the bytes at rest. */
export function upload(
  key: CryptoKey,
  rules: Rules,
  onProgress: (progress: Progress) => void = () => undefined,
): Promise<UploadReport> {
  const worker = new Worker(new URL("../worker/upload.ts", import.meta.url), { type: "module" });
  return new Promise<UploadReport>((resolve, reject) => {
    worker.onerror = (event) => reject(new Failure("link.unavailable", event.message));
    worker.onmessage = (event: MessageEvent<FromWorker>) => {
      const message = event.data;
      if (message.kind === "progress") onProgress(message.progress);
      else if (message.kind === "done") resolve(message.report);
      else reject(new Failure("link.unavailable", message.reason));
    };
    worker.postMessage({ key, rules } satisfies ToWorker);
  }).finally(() => worker.terminate());
}
