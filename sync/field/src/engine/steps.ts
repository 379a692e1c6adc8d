// Steps of the device's clock, as its own journal shows them: a line's wall clock is compared with
// the clock that nobody can set, in which it stands, and with what the server's showed.
//
// A clock that ran ahead between two lines may have slept and says nothing; one that went back was
// set back. Pure: what it is given are the headers in the order in which they were signed.
import type { DeviceTime } from "../evidence/line";

/** Below this a difference is rounding, or a clock that is steered. */
const TOLERANCE_MS = 500;
/** How much a cheap clock may run wrong, or be steered, meanwhile. */
const DRIFT = 200e-6;

/** One line of the journal; `compared` is what its act says, if it is `clock.compared`. */
export interface Moment {
  readonly epoch: string;
  readonly seq: number;
  readonly t: DeviceTime;
  readonly compared?: { readonly offsetMs: number; readonly errorMs: number };
}

/** The clock went back by at least `byMs` between the line before `seq` and that line. */
export interface ClockStep {
  readonly epoch: string;
  readonly seq: number;
  readonly byMs: number;
  /** `mono`: beside the clock nobody sets. `order`: behind an earlier line. `server`: beside its. */
  readonly against: "mono" | "order" | "server";
}

/** Every backward step that the lines give away. */
export function backwardSteps(moments: readonly Moment[]): ClockStep[] {
  const steps: ClockStep[] = [];
  let before: Moment | null = null;
  let compared: Moment | null = null;
  let found = false;
  for (const moment of moments) {
    const { epoch, seq } = moment;
    const step = before === null ? null : stepBetween(before.t, moment.t);
    if (step !== null) {
      steps.push({ epoch, seq, ...step });
      found = true;
    }
    if (moment.compared !== undefined) {
      // Told already, if the lines themselves have shown a step since the last comparison.
      const by = compared === null || found ? 0 : lateness(compared, moment);
      if (by > 0) steps.push({ epoch, seq, byMs: by, against: "server" });
      compared = moment;
      found = false;
    }
    before = moment;
  }
  return steps;
}

function stepBetween(
  before: DeviceTime,
  after: DeviceTime,
): { readonly byMs: number; readonly against: "mono" | "order" } | null {
  const wall = after.wall_ms - before.wall_ms;
  if (before.boot === after.boot) {
    const byMs = after.mono_ms - before.mono_ms - wall;
    const allowed = Math.max(TOLERANCE_MS, (after.mono_ms - before.mono_ms) * DRIFT);
    return byMs > allowed ? { byMs, against: "mono" } : null;
  }
  return wall < 0 ? { byMs: -wall, against: "order" } : null;
}

/** By how much the clock is further behind the server's than drift and errors explain. */
function lateness(before: Moment, after: Moment): number {
  if (before.compared === undefined || after.compared === undefined) return 0;
  const errors = before.compared.errorMs + after.compared.errorMs;
  const by = after.compared.offsetMs - before.compared.offsetMs;
  const passed = Math.abs(after.t.wall_ms - before.t.wall_ms + by);
  return Math.max(0, by - errors - Math.max(TOLERANCE_MS, passed * DRIFT));
}
