// The EXIF that we write stands where readers look for it, and the picture stays as it was.
import { expect, test } from "vitest";
import { fromUtf8, toHex } from "../src/evidence/bytes";
import { withExif } from "../src/engine/exif";

const JPEG = Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xd9);
const FACTS = {
  software: "Liuhen field test",
  takenAtMs: Date.UTC(2026, 5, 1, 1, 30, 5, 120),
  tzMin: 480,
  item: "0a0b0c0d-0e0f-4001-8203-040506070809",
};

test("a segment is put behind the first marker and nothing else changes", () => {
  const written = withExif(JPEG, FACTS);
  const length = ((written[4] ?? 0) << 8) + (written[5] ?? 0);

  expect(toHex(written.subarray(0, 4))).toBe("ffd8ffe1");
  expect(fromUtf8(written.subarray(6, 10))).toBe("Exif");
  expect(toHex(written.subarray(4 + length))).toBe(toHex(JPEG.subarray(2)));
});

test("what is no JPEG stays as it is", () => {
  const png = Uint8Array.of(0x89, 0x50, 0x4e, 0x47);

  expect(withExif(png, FACTS)).toBe(png);
});
