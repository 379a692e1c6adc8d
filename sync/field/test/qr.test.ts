// A head that one phone shows is the head that the other one reads, with no help of the browser's.
import { encodeQR } from "qr";
import decodeQR from "qr/decode.js";
import { expect, test } from "vitest";
import { parseHead, spellFull } from "../src/evidence/shortcode";

const PIXELS = 3;

test("a head shown as a QR code is read as the same head", () => {
  const head = {
    device: "0a0b0c0d-0e0f-4001-8203-040506070809",
    epoch: "0f".repeat(16),
    seq: 412,
    head: "ab".repeat(32),
  };
  const rows = encodeQR(spellFull(head), "raw", { ecc: "medium", border: 4 });
  const width = rows.length * PIXELS;
  const data = new Uint8Array(width * width * 4).fill(255);
  for (let y = 0; y < width; y++) {
    for (let x = 0; x < width; x++) {
      const isDark = rows[Math.floor(y / PIXELS)]?.[Math.floor(x / PIXELS)] === true;
      if (isDark) data.fill(0, (y * width + x) * 4, (y * width + x) * 4 + 3);
    }
  }

  expect(parseHead(decodeQR({ width, height: width, data }))).toEqual(head);
});
