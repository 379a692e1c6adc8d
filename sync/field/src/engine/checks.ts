// Is this phone fit for evidence? Each check answers what it found, never only yes or no.
import { hello } from "./api";
import { askToPersist } from "./abilities";
import { Camera, type Facing } from "./camera";

export const CHECKS = ["back", "front", "microphone", "position", "clock", "space", "persist"] as const;
export type CheckName = (typeof CHECKS)[number];

/** `poor`: usable, and somebody should know. `value` is put into the sentence about it. */
export interface Found {
  readonly grade: "good" | "poor" | "bad";
  readonly value: string;
}

const FIX_TIMEOUT_MS = 20_000;
/** A clock further off than this is worth setting before a visit. */
const CLOCK_MS = 30_000;
const SPACE_BYTES = 2 * 2 ** 30;
const WIDTH = 1280;

export function check(name: CheckName): Promise<Found> {
  return RUNS[name]().catch((error: unknown) => ({
    grade: "bad",
    value: error instanceof Error ? error.message : String(error),
  }));
}

const RUNS: Record<CheckName, () => Promise<Found>> = {
  back: () => picture("environment"),
  front: () => picture("user"),
  microphone,
  position,
  clock,
  space,
  persist: async () => ({ grade: (await askToPersist()) ? "good" : "bad", value: "" }),
};

async function picture(facing: Facing): Promise<Found> {
  const camera = new Camera(facing);
  try {
    await camera.start();
    await camera.take();
    const { videoWidth: width, videoHeight: height } = camera.video;
    const good = Math.max(width, height) >= WIDTH;
    return { grade: good ? "good" : "poor", value: `${width} × ${height}` };
  } finally {
    camera.stop();
  }
}

async function microphone(): Promise<Found> {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const [track] = stream.getTracks();
  const value = track?.label ?? "";
  for (const one of stream.getTracks()) one.stop();
  return { grade: track === undefined ? "bad" : "good", value };
}

async function position(): Promise<Found> {
  const fix = await new Promise<GeolocationPosition>((resolve, reject) => {
    navigator.geolocation.getCurrentPosition(resolve, (error) => reject(new Error(error.message)), {
      enableHighAccuracy: true,
      timeout: FIX_TIMEOUT_MS,
    });
  });
  const metres = Math.round(fix.coords.accuracy);
  return { grade: metres <= 50 ? "good" : "poor", value: `± ${metres} m` };
}

async function clock(): Promise<Found> {
  const before = performance.now();
  const { serverMs } = await hello();
  const half = (performance.now() - before) / 2;
  const offsetMs = Math.round(serverMs + half - Date.now());
  const grade = Math.abs(offsetMs) <= CLOCK_MS ? "good" : "poor";
  return { grade, value: `${(offsetMs / 1000).toFixed(1)} s` };
}

async function space(): Promise<Found> {
  const { quota = 0, usage = 0 } = await navigator.storage.estimate();
  const free = Math.max(0, quota - usage);
  return { grade: free >= SPACE_BYTES ? "good" : "poor", value: `${(free / 2 ** 30).toFixed(1)} GB` };
}
