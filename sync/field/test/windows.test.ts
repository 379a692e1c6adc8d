// When recordings may be sent.
import { describe, expect, test } from "vitest";
import { allowance, type Rules } from "../src/engine/windows";

/** A moment in China. */
function at(clock: string): number {
  return Date.parse(`2026-05-04T${clock}:00+08:00`);
}

const NIGHT = { from: "22:00", to: "06:00", kbitS: 4000 };
const RULES: Rules = { windows: [NIGHT], recordings: true, offsetMs: 0 };

describe("send windows", () => {
  test.each([
    ["21:59", false],
    ["22:00", true],
    ["00:30", true],
    ["05:59", true],
    ["06:00", false],
  ])("at %s a recording may be sent: %s", (clock, send) => {
    expect(allowance(RULES, "video/mp4", at(clock)).send).toBe(send);
  });

  test("a photo may always be sent", () => {
    const full = { ...RULES, recordings: false };

    expect(allowance(full, "image/jpeg", at("12:00"))).toEqual({ send: true, kbitS: 0 });
  });

  test("without windows recordings may always be sent, unless the store has no room", () => {
    const always = { ...RULES, windows: [] };

    expect(allowance(always, "audio/webm", at("12:00"))).toEqual({ send: true, kbitS: 0 });
    expect(allowance({ ...always, recordings: false }, "audio/webm", at("12:00"))).toEqual({
      send: false,
      because: "store",
    });
  });

  test("of several windows the widest counts, by the server's clock", () => {
    const wide = { from: "23:00", to: "23:30", kbitS: 0 };
    const rules = { ...RULES, windows: [NIGHT, wide], offsetMs: 3_600_000 };

    expect(allowance(rules, "video/mp4", at("22:10"))).toEqual({ send: true, kbitS: 0 });
    expect(allowance(rules, "video/mp4", at("21:10"))).toEqual({ send: true, kbitS: 4000 });
  });
});
