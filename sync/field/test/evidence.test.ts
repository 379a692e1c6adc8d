// What is written here reads as the server reads it.
import { describe, expect, test } from "vitest";
import { buildLine, checkSignature, GENESIS, parseLine } from "../src/evidence/line";
import { isInRange, makeKey } from "../src/evidence/p256";
import { parseReceipt } from "../src/evidence/receipt";
import { Mistyped, parseHead, spell, spellFull } from "../src/evidence/shortcode";

const PLACE = {
  device: "0f0e0d0c-0b0a-4908-8706-050403020100",
  epoch: "000102030405060708090a0b0c0d0e0f",
  seq: 0,
  prev: GENESIS,
};
const TIME = { wall_ms: 1_777_856_400_000, mono_ms: 1000, boot: "boot-1", tz_min: 480 };

describe("a line that is built", () => {
  test("verifies, has low S each time and says what was given", async () => {
    const key = await makeKey();

    for (let seq = 0; seq < 32; seq++) {
      const act = { type: "note.added", text: "排口有油膜 🛢" };
      const line = await buildLine([act], { ...PLACE, seq }, TIME, key);

      await checkSignature(line, key.spki);
      expect(isInRange(line.signature)).toBe(true);
      expect((await parseLine(line.raw)).digest).toBe(line.digest);
      expect(line.act["text"]).toBe("排口有油膜 🛢");
    }
  });

  test("carries a fresh salt in each part", async () => {
    const key = await makeKey();
    const parts = [{ type: "record.saved" }, { field: "id_number", value: "x" }];

    const lines = await Promise.all([1, 2].map(() => buildLine(parts, PLACE, TIME, key)));

    const salts = lines.flatMap((line) => line.parts.map((part) => part["salt"]));
    expect(new Set(salts).size).toBe(4);
  });

  test("is refused before it is signed where its text is no Unicode", async () => {
    const key = await makeKey();
    const act = { type: "note.added", text: "\ud800" };

    await expect(buildLine([act], PLACE, TIME, key)).rejects.toThrow("surrogate");
  });

  test("of a key that cannot be read out", async () => {
    const { privateKey } = await makeKey();

    expect(privateKey.extractable).toBe(false);
    await expect(crypto.subtle.exportKey("pkcs8", privateKey)).rejects.toThrow();
  });
});

describe("journal heads that people pass on", () => {
  const head = {
    device: PLACE.device,
    epoch: PLACE.epoch,
    seq: 412,
    head: "f3a1".padEnd(64, "0"),
  };

  test("are read as they were spelled", () => {
    const code = spell(head.seq, head.head);

    expect(code).toMatch(/^412(?:-[0-9A-HJKMNP-TV-Z]{5}){4}$/);
    expect(parseHead(spellFull(head))).toEqual(head);
    expect(parseHead(code.toLowerCase().replace(/0/g, "o"))).toEqual({
      seq: 412,
      code: code.slice(4).replace(/-/g, ""),
    });
  });

  test("are refused at once where a character or the count is wrong", () => {
    expect(() => parseHead("412-UUUUU-00000-00000-00000")).toThrow(Mistyped);
    expect(() => parseHead("412-00000")).toThrow(Mistyped);
  });
});

test("a receipt with a row too many is none", () => {
  const rows = [
    "liuhen/receipt/v1",
    "origin o",
    "generation 1",
    `device ${PLACE.device}`,
    `epoch ${PLACE.epoch}`,
    "branch -",
    "first_seq 0",
    "last_seq 3",
    `last_digest ${GENESIS}`,
    "first_index 7",
    "server_ms 1",
    "clock synchronised",
    "",
  ];

  expect(parseReceipt(rows.join("\n"))).toMatchObject({ branch: "", last_seq: 3, first_index: 7 });
  expect(() => parseReceipt([...rows, ""].join("\n"))).toThrow();
});
