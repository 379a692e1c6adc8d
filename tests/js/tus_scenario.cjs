// One upload by tus-js-client as it is published: node tus_scenario.cjs SCENARIO (JSON on stdin).
// Prints {"url", "bytesSent", "requests"} when the upload has ended as the scenario wants it.
"use strict";

const fs = require("node:fs");
const { PassThrough } = require("node:stream");
const tus = require("tus-js-client");

const MIB = 1 << 20;
const given = JSON.parse(fs.readFileSync(0, "utf8"));

const options = {
  endpoint: given.endpoint,
  chunkSize: MIB,
  headers: { Authorization: `Bearer ${given.token}` },
  metadata: given.metadata,
  retryDelays: [0, 100, 300, 1000, 3000, 3000],
};

const scenarios = {
  plain: () => run({}),
  one_request: () => run({ chunkSize: Infinity, uploadDataDuringCreation: true }),
  only_post: () => run({ overridePatchMethod: true }),
  parallel: () => run({ parallelUploads: 3 }),
  deferred: () => run({ uploadLengthDeferred: true }, live()),
  deferred_body_first: () =>
    run({ uploadLengthDeferred: true, uploadDataDuringCreation: true }, live()),
  resumed: async () => {
    const urlStorage = new tus.FileUrlStorage(given.storage);
    await runUntil(2 * MIB, { urlStorage });
    return run({ urlStorage }, undefined, true);
  },
  parallel_resumed: async () => {
    const urlStorage = new tus.FileUrlStorage(given.storage);
    await runUntil(4 * MIB, { urlStorage, parallelUploads: 2 });
    return run({ urlStorage, parallelUploads: 2 }, undefined, true);
  },
  terminated: async () => {
    const upload = await runUntil(2 * MIB, {});
    await tus.Upload.terminate(upload.url, options);
    return { url: upload.url };
  },
};

function source() {
  return fs.createReadStream(given.file);
}

/** The same bytes as if they were being recorded: of a file the client knows the size. */
function live() {
  return source().pipe(new PassThrough());
}

/** Upload to the end; with `resume`, go on where the URL storage says that we stopped. */
function run(more, file = source(), resume = false) {
  return new Promise((done, failed) => {
    const seen = { bytesSent: 0, requests: [] };
    const upload = new tus.Upload(file, {
      ...options,
      ...more,
      onError: failed,
      onBeforeRequest: (request) => {
        seen.requests.push(request.getMethod());
      },
      onChunkComplete: (size) => {
        seen.bytesSent += size;
      },
      onSuccess: () => done({ url: upload.url, ...seen }),
    });
    if (!resume) {
      upload.start();
      return;
    }
    upload.findPreviousUploads().then(([previous]) => {
      if (!previous) throw new Error("the URL storage has forgotten the upload");
      upload.resumeFromPreviousUpload(previous);
      upload.start();
    }, failed);
  });
}

/** Upload until `bytes` are acknowledged, then stop as if the user had closed the page. */
function runUntil(bytes, more) {
  return new Promise((done, failed) => {
    let sent = 0;
    const upload = new tus.Upload(source(), {
      ...options,
      ...more,
      onError: failed,
      onChunkComplete: (size) => {
        sent += size;
        if (sent >= bytes) upload.abort().then(() => done(upload), failed);
      },
    });
    upload.start();
  });
}

scenarios[process.argv[2]]().then(
  (result) => process.stdout.write(JSON.stringify(result)),
  (error) => {
    process.stderr.write(`${error}\n`);
    process.exitCode = 1;
  },
);
