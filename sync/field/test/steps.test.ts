// Backward steps of the clock, as the journal's own lines give them away.
import { describe, expect, test } from "vitest";
import { backwardSteps, type Moment } from "../src/engine/steps";

const START_MS = 1_780_000_000_000;
const DAY_MS = 86_400_000;

/** Lines of one chain: what the clock nobody sets and the wall clock showed, in milliseconds. */
function lines(...readings: readonly (readonly [mono: number, wall: number, boot?: string])[]) {
  return readings.map(([mono, wall, boot = "a"], seq): Moment => {
    const t = { mono_ms: mono, wall_ms: START_MS + wall, boot, tz_min: 480 };
    return { epoch: "e", seq, t };
  });
}

/** A draw that is the same in every run. */
function drawing(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("steps of the clock", () => {
  test.each([1_000, 60_000, 3_600_000, DAY_MS, 365 * DAY_MS, 3_650 * DAY_MS])(
    "a clock that goes back by %i ms in a visit is found at its line",
    (by) => {
      const found = backwardSteps(
        lines([0, 0], [5_000, 5_000], [65_000, 65_000 - by], [70_000, 70_000 - by]),
      );

      expect(found).toEqual([{ epoch: "e", seq: 2, byMs: by, against: "mono" }]);
    },
  );

  test("a clock that goes back behind an earlier line is found over a restart", () => {
    const found = backwardSteps(lines([900_000, 900_000, "a"], [10, 400_000, "b"]));

    expect(found).toEqual([{ epoch: "e", seq: 1, byMs: 500_000, against: "order" }]);
  });

  test("what a restart hides, the next comparison with the server's clock shows", () => {
    const [first, second, third] = lines([0, 0, "a"], [10, 3_600_000, "b"], [90, 3_600_080, "b"]);
    if (first === undefined || second === undefined || third === undefined) throw new Error();
    const found = backwardSteps([
      { ...first, compared: { offsetMs: 0, errorMs: 20 } },
      second,
      { ...third, compared: { offsetMs: 60_000, errorMs: 20 } },
    ]);

    expect(found.map((one) => [one.seq, one.against])).toEqual([[2, "server"]]);
    expect(found[0]?.byMs).toBeGreaterThan(58_000);
  });

  test("a thousand clean visits, with sleep, restarts and a clock that drifts, raise nothing", () => {
    const draw = drawing(7);
    for (let visit = 0; visit < 1_000; visit++) {
      // Wrong by up to 100 millionths, which a phone's quartz is not.
      const rate = 1 + (draw() - 0.5) * 2e-4;
      let [wall, mono, boot] = [START_MS, 0, 0];
      const moments: Moment[] = [];
      for (let seq = 0; seq < 60; seq++) {
        const passed = Math.floor(draw() * 120_000);
        wall += Math.round(passed * rate);
        mono += passed;
        // Asleep the wall clock goes on alone; a restart begins the other one anew.
        if (draw() < 0.1) wall += Math.floor(draw() * 8 * 3_600_000);
        if (draw() < 0.05) [boot, mono] = [boot + 1, 0];
        const t = { wall_ms: wall, mono_ms: mono, boot: `b${boot}`, tz_min: 480 };
        const errorMs = 2 + Math.floor(draw() * 400);
        const measured = Math.round((draw() - 0.5) * errorMs);
        const compared = seq % 10 === 0 ? { compared: { offsetMs: measured, errorMs } } : {};
        moments.push({ epoch: "e", seq, t, ...compared });
      }
      expect(backwardSteps(moments)).toEqual([]);
    }
  });
});
