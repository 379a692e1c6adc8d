// The engine without the app around it, for tests that drive a real browser. Not part of the app.
import { h, render } from "preact";
import { sha256Hex, toHex, type Bytes } from "../src/evidence/bytes";
import { followChain } from "../src/evidence/chain";
import { checkSignature, parseLine } from "../src/evidence/line";
import { makeKey } from "../src/evidence/p256";
import { Camera } from "../src/engine/camera";
import { Field } from "../src/engine/field";
import { isFailure } from "../src/engine/failures";
import { freeCopies } from "../src/engine/freeing";
import { getMeta } from "../src/engine/meta";
import { unseal } from "../src/engine/vault";
import { visits } from "../src/engine/visits";
import { go } from "../src/router";
import { InspectionScreen } from "../src/screens/inspection";
import { choose } from "../src/texts";
import { registerWorker } from "../src/updates";
import "../src/app.css";

const PIN = "246810";
const OFFICER = "11111111-1111-4111-8111-111111111111";
const field = new Field();

/** As if enrolled, without a server. */
async function settle(): Promise<string> {
  const key = await makeKey();
  const enrolment = {
    device: crypto.randomUUID(),
    name: "test",
    keyId: key.keyId,
    organization: OFFICER,
    organizationName: "test",
    origin: "test.invalid/liuhen",
    generation: 1,
    receiptKey: "",
    ledgerKey: "",
  };
  await field.journal.begin(enrolment, key, "");
  // Few rounds: the browser is started many times.
  await field.setPin(PIN, 1000);
  await field.logIn(OFFICER, "test");
  return field.openInspection({ officer: OFFICER, officers: [OFFICER] });
}

function noise(size: number): Bytes {
  const bytes = new Uint8Array(size);
  for (let start = 0; start < size; start += 65_536) {
    crypto.getRandomValues(bytes.subarray(start, Math.min(size, start + 65_536)));
  }
  return bytes;
}

/** Capture without end, telling `acked` of each as soon as it may be shown as saved. */
async function captureForever(inspection: string, size: number): Promise<void> {
  const acked = Reflect.get(globalThis, "acked") as (item: string, sha256: string) => Promise<void>;
  for (;;) {
    const saved = await field.capture({
      officer: OFFICER,
      inspection,
      bytes: noise(size),
      mediaType: "image/jpeg",
      captureClass: "B",
    });
    void acked(saved.item, saved.sha256);
  }
}

/** Everything that lies here, verified from the first line to the last byte. */
async function audit(): Promise<{ items: Record<string, string>; lines: number; orphans: number }> {
  const rows = await field.database.read(["lines", "items", "blobs", "epochs", "meta"], async (tx) => ({
    lines: await tx.all("lines"),
    items: await tx.all("items"),
    blobs: await tx.all("blobs"),
    epochs: await tx.all("epochs"),
    key: await getMeta(tx, "key"),
  }));
  const lines = await Promise.all(rows.lines.map((row) => parseLine(row.raw)));
  if (rows.key === undefined) throw new Error("no key");
  for (const line of lines) await checkSignature(line, rows.key.spki);
  const head = followChain(lines);
  const [epoch] = rows.epochs;
  if (epoch?.nextSeq !== head.seq || epoch.head !== head.prev) throw new Error("another head");
  const announced = new Set(lines.map((line) => line.act["sha256"]));
  const items: Record<string, string> = {};
  for (const row of rows.items) {
    const blob = rows.blobs.find((one) => one.sha256 === row.sha256);
    if (blob === undefined) throw new Error(`no bytes of ${row.item}`);
    const digest = await sha256Hex(await unseal(field.key(), blob));
    if (digest !== row.sha256 || !announced.has(digest)) throw new Error(`corrupt ${row.item}`);
    items[row.item] = digest;
  }
  const orphans = rows.blobs.filter((blob) => !announced.has(blob.sha256)).length;
  return { items, lines: lines.length, orphans };
}

/** How many milliseconds of a recording play, to its end. */
async function plays(bytes: Blob): Promise<number> {
  const video = document.createElement("video");
  video.src = URL.createObjectURL(bytes);
  await new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(new Error(video.error?.message ?? "does not play"));
  });
  await new Promise((resolve) => {
    video.onseeked = resolve;
    video.currentTime = 1e9;
  });
  return Math.round(video.currentTime * 1000);
}

/** Wait until everything of the app is kept here, so that it opens without a network. */
async function install(): Promise<void> {
  registerWorker();
  await navigator.serviceWorker.ready;
}

/** Draw an inspection's screens, as the app does for whoever is unlocked. */
function show(inspection: string, language: "zh" | "en" = "zh"): void {
  const draw = (): void => {
    render(null, document.body);
    go(`/inspection/${inspection}`);
    render(h(InspectionScreen, { field, id: inspection, go }), document.body);
  };
  void choose(language).then(draw, draw);
}

/** What a promise ends in, as plain values. */
async function outcome(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "";
  } catch (error) {
    return isFailure(error) ? error.code : String(error);
  }
}

const harness = { freeCopies, visits, field, PIN, OFFICER, plays, install, show, settle, captureForever, audit, noise, outcome, Camera, toHex };

export type Harness = typeof harness;

Reflect.set(globalThis, "harness", harness);
// The app has its later parts from the service worker, which this page is without.
await Promise.all([
  import("../src/engine/enrol"),
  import("../src/engine/sync"),
  import("../src/engine/troubles"),
  import("../src/engine/trust"),
]);
document.title = "ready";
