// Forms and records by the rules of docs/forms.md §2 and docs/protocol.md §4.3.
import { expect, test } from "vitest";
import { inForce, lacking, type Form } from "../src/engine/forms";
import { isWorthAPoint } from "../src/engine/position";
import { inNormalForm, uuid5 } from "../src/engine/records";

const title = { zh: "表", en: "form" };
const label = title;

function form(version: number, from: string, to?: string): Form {
  const ending = to === undefined ? {} : { in_force_to: to };
  return { id: "f", version, title, in_force_from: from, ...ending, fields: [] };
}

test("the version in force on the Beijing day of the inspection is the one", () => {
  const forms = [form(1, "2025-01-01"), form(2, "2026-05-01"), form(3, "2026-05-02", "2026-05-02")];
  const versionAt = (moment: string) => inForce(forms, Date.parse(moment))[0]?.version;

  expect(versionAt("2026-04-30T15:59:59Z")).toBe(1);
  expect(versionAt("2026-04-30T16:00:00Z")).toBe(2);
  expect(versionAt("2026-05-02T00:00:00Z")).toBe(3);
  expect(versionAt("2026-05-03T00:00:00Z")).toBe(2);
});

test("what is lacking is listed with its path, and only what is asked for", () => {
  const sampling: Form = {
    ...form(1, "2025-01-01"),
    fields: [
      { id: "sealed", type: "boolean", required: true, label },
      {
        id: "seal",
        type: "text",
        required: true,
        shown_when: { field: "sealed", is: [true] },
        label,
      },
      { id: "amount", type: "number", units: ["L"], label },
      { id: "signed", type: "signature", required: true, label },
      {
        id: "samples",
        type: "group",
        min: 2,
        required: true,
        label,
        fields: [{ id: "number", type: "text", required: true, label }],
      },
    ],
  };
  const gaps = (values: Parameters<typeof lacking>[1]) =>
    lacking(sampling, values).map((gap) => `${gap.path.join(".")} ${gap.kind}`);

  expect(gaps({})).toEqual(["sealed missing", "signed missing", "samples missing"]);
  expect(
    gaps({
      sealed: true,
      seal: "\u3000",
      amount: { value: "1.5", unit: "kg" },
      signed: { how: "refused", reason: "" },
      samples: [{ number: "" }],
      more: "x",
    }),
  ).toEqual([
    "seal missing",
    "amount malformed",
    "signed malformed",
    "samples too_few",
    "samples.0.number missing",
    "more unknown",
  ]);
  expect(
    gaps({
      sealed: false,
      amount: { value: "1.50", unit: "L" },
      signed: { how: "absent", reason: "离开" },
      samples: [{ number: "1" }, { number: "2" }],
    }),
  ).toEqual([]);
});

test("two phones name the site inspection record of an inspection alike", async () => {
  const inspection = "0a0b0c0d-0e0f-4001-8203-040506070809";

  expect(await uuid5(inspection, "site_inspection_record")).toBe(
    "ac8278df-d01d-5e95-b62f-a3f26c8410ea",
  );
});

test("text goes into a record in the one normal form", () => {
  expect(inNormalForm({ a: ["e\u0301\r\nx"] })).toEqual({ a: ["\u00e9\nx"] });
});

test("a track grows with time and distance, not with the noise of bad fixes", () => {
  const at = (metres: number, acc: number, seconds: number) => ({
    lat: 225_000_000 + Math.round((metres / 111_320) * 1e7),
    lon: 1_140_000_000,
    acc,
    fix_ms: seconds * 1000,
  });

  expect(isWorthAPoint(null, at(0, 500, 0))).toBe(true);
  expect(isWorthAPoint(at(0, 500, 0), at(20, 500, 10))).toBe(false);
  expect(isWorthAPoint(at(0, 500, 0), at(50, 500, 10))).toBe(true);
  expect(isWorthAPoint(at(0, 5_000, 0), at(50, 5_000, 10))).toBe(false);
  expect(isWorthAPoint(at(0, 500, 0), at(0, 500, 60))).toBe(true);
});
