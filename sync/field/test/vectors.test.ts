// The vectors that all languages share, tests/vectors/ of the project: none is left out.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fromHex, fromUtf8, utf8 } from "../src/evidence/bytes";
import { dump, load, type Json } from "../src/evidence/canonical";
import { followChain } from "../src/evidence/chain";
import {
  bitsFor,
  bucketOf,
  decodeSums,
  documentDigest,
  encodeSums,
  fingerprint,
  foldInto,
  markText,
  placeOf,
} from "../src/evidence/divergence";
import { EvidenceError } from "../src/evidence/errors";
import { checkFork, type ForkProof } from "../src/evidence/fork";
import { checkSignature, parseLine } from "../src/evidence/line";
import { merge, type Choice, type Revision } from "../src/evidence/merge";
import { leafHash, verifyConsistency, verifyInclusion } from "../src/evidence/merkle";
import {
  COSIGNATURE_V1,
  cosignatures,
  openNote,
  parseNote,
  parseVerifierKey,
} from "../src/evidence/note";

function vectors<T>(name: string): T {
  const path = new URL(`../../../tests/vectors/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(path, "utf8")) as T;
}

/** The code of what `act` throws; an empty text if it does not. */
async function codeOf(act: () => unknown): Promise<string> {
  try {
    await act();
    return "";
  } catch (error) {
    if (error instanceof EvidenceError) return error.code;
    throw error;
  }
}

describe("canonical JSON", () => {
  const { valid, invalid } = vectors<{
    valid: { value: Json; text: string }[];
    invalid: { why: string; hex: string }[];
  }>("canonical");

  test.each(valid)("$text is the encoding of its value, and is read again", ({ value, text }) => {
    expect(fromUtf8(dump(value))).toBe(text);
    expect(load(utf8(text))).toEqual(value);
  });

  test.each(invalid)("is refused: $why", async ({ hex }) => {
    expect(await codeOf(() => load(fromHex(hex)))).toBe("journal.not_canonical");
  });
});

describe("journal lines", () => {
  const data = vectors<{
    spki: string;
    chain: { line: string; digest: string }[];
    refused: { why: string; code: string; hex: string }[];
  }>("lines");
  const spki = fromHex(data.spki);

  test("a chain is read, verified and followed to its end", async () => {
    const lines = await Promise.all(data.chain.map(({ line }) => parseLine(utf8(line))));

    for (const line of lines) await checkSignature(line, spki);
    expect(lines.map((line) => line.digest)).toEqual(data.chain.map(({ digest }) => digest));
    expect(followChain(lines)).toEqual({ seq: lines.length, prev: lines.at(-1)?.digest });
  });

  test.each(data.refused)("is refused: $why", async ({ code, hex }) => {
    const found = await codeOf(async () => checkSignature(await parseLine(fromHex(hex)), spki));

    expect(found).toBe(code);
  });
});

describe("the ledger's tree", () => {
  const { inclusion, consistency } = vectors<{
    inclusion: {
      name: string;
      entry: string;
      index: number;
      size: number;
      path: string[];
      root: string;
      good: boolean;
    }[];
    consistency: {
      name: string;
      first: number;
      second: number;
      path: string[];
      first_root: string;
      second_root: string;
      good: boolean;
    }[];
  }>("merkle");
  const nodes = (path: string[]) => path.map((node) => fromHex(node));

  test.each(inclusion)("inclusion: $name", async ({ entry, index, size, path, root, good }) => {
    const leaf = await leafHash(fromHex(entry));
    const proof = { index, size, path: nodes(path), root: fromHex(root) };

    const code = await codeOf(() => verifyInclusion(leaf, proof));

    expect(code).toBe(good ? "" : "ledger.proof_invalid");
  });

  test.each(consistency)("consistency: $name", async (given) => {
    const proof = {
      first: given.first,
      second: given.second,
      firstRoot: fromHex(given.first_root),
      secondRoot: fromHex(given.second_root),
      path: nodes(given.path),
    };

    const code = await codeOf(() => verifyConsistency(proof));

    expect(code).toBe(given.good ? "" : "ledger.proof_invalid");
  });
});

describe("signed notes", () => {
  const cases = vectors<
    {
      name: string;
      note: string;
      keys: string[];
      outcome: { text: string; signers: string[] } | { error: string };
    }[]
  >("note");

  test.each(cases)("$name", async ({ note, keys, outcome }) => {
    const known = await Promise.all(keys.map((key) => parseVerifierKey(key)));

    if ("error" in outcome) {
      expect(await codeOf(() => openNote(note, known))).toBe(outcome.error);
    } else {
      const { text, signers } = await openNote(note, known);
      expect({ text, signers: signers.map((key) => key.spelling) }).toEqual(outcome);
    }
  });
});

describe("cosignatures of witnesses", () => {
  const { notes } = vectors<{
    notes: { note: string; log: string | null; witnesses: string[]; time_s: number }[];
  }>("cosignature");

  test.each(notes)("of other operators verify under a real checkpoint", async (given) => {
    const keys = await Promise.all(
      given.witnesses.map((key) => parseVerifierKey(key, COSIGNATURE_V1)),
    );

    const found = await cosignatures(parseNote(given.note), keys);

    expect(found.map(({ key }) => key.spelling)).toEqual(given.witnesses);
    expect(new Set(found.map(({ timeS }) => timeS))).toEqual(new Set([given.time_s]));
    if (given.log !== null) {
      const { signers } = await openNote(given.note, [await parseVerifierKey(given.log)]);
      expect(signers.map((key) => key.spelling)).toEqual([given.log]);
    }
  });

  test.each(notes)("do not survive another tree size", async ({ note, witnesses }) => {
    const size = note.split("\n")[1] ?? "";
    const altered = parseNote(note.replace(`\n${size}`, "\n42"));

    for (const witness of witnesses) {
      const key = await parseVerifierKey(witness, COSIGNATURE_V1);
      expect(await codeOf(() => cosignatures(altered, [key]))).toBe("note.forged");
    }
  });
});

describe("fork proofs", () => {
  const { key, cases } = vectors<{
    key: string;
    cases: readonly { name: string; proof: ForkProof; basis: string }[];
  }>("fork");

  test.each(cases)("$name", async ({ proof, basis }) => {
    const keys = [await parseVerifierKey(key)];
    const checked = checkFork(proof, keys);

    if (basis === "") await expect(checked).rejects.toBeInstanceOf(EvidenceError);
    else expect(await checked).toBe(basis);
  });
});

describe("digests of documents", () => {
  const data = vectors<{
    documents: {
      kind: string;
      id: string;
      body: Json;
      digest: string;
      place: string;
      fingerprint: string;
    }[];
    sums: { bits: number; sums: string }[];
    bits_for: [number, number][];
  }>("digest");

  const fold = async () =>
    Promise.all(
      data.documents.map(async ({ kind, id, digest }) => ({
        place: await placeOf(kind, id),
        mark: await fingerprint(kind, id, digest),
      })),
    );

  test.each(data.documents)("of $kind $id", async (given) => {
    const { kind, id } = given;

    expect(await documentDigest(given.body)).toBe(given.digest);
    expect(markText(await placeOf(kind, id))).toBe(given.place);
    expect(markText(await fingerprint(kind, id, given.digest))).toBe(given.fingerprint);
  });

  test.each(data.sums)("fold into 2^$bits buckets", async ({ bits, sums }) => {
    const folded = foldInto(bits, await fold());

    expect(encodeSums(folded)).toBe(sums);
    expect(decodeSums(sums, bits)).toEqual(folded);
    for (const { place } of await fold()) expect(bucketOf(place, bits)).toBeLessThan(2 ** bits);
  });

  test.each(data.bits_for)("%i documents want 2^%i buckets", (count, bits) => {
    expect(bitsFor(count)).toBe(bits);
  });
});

describe("merging a record", () => {
  type Snake<T> = Omit<T, "outsideSeal"> & { outside_seal?: boolean };
  const { cases } = vectors<{
    cases: {
      name: string;
      revisions: Snake<Revision>[];
      choices: Choice[];
      fields: Record<
        string,
        { candidates: [string, Json][]; conflict: boolean; settled_by: string }
      >;
      standing: Record<string, string>;
      heads: string[];
    }[];
  }>("merge");

  test.each(cases)("$name", (given) => {
    const revisions = given.revisions.map(({ outside_seal, ...revision }) => ({
      ...revision,
      outsideSeal: outside_seal ?? false,
    }));

    const merged = merge(revisions, given.choices);

    const fields = Object.fromEntries(
      Object.entries(merged.fields).map(([name, field]) => [
        name,
        {
          candidates: field.candidates.map(({ digest, value }) => [digest, value]),
          conflict: field.conflict,
          settled_by: field.settledBy,
        },
      ]),
    );
    expect({ fields, standing: merged.standing, heads: merged.heads }).toEqual({
      fields: given.fields,
      standing: given.standing,
      heads: given.heads,
    });
  });
});
