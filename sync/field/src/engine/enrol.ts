// Becoming a device: a key made here, a one-time code, and the server's keys pinned.
import { sha256Hex, toBase64url, utf8 } from "../evidence/bytes";
import { EvidenceError } from "../evidence/errors";
import { parseVerifierKey } from "../evidence/note";
import { makeKey, sign } from "../evidence/p256";
import { enrolmentProof } from "../evidence/proofs";
import { normalise } from "../evidence/shortcode";
import { postJson } from "./api";
import { Failure, isFailure } from "./failures";
import type { Database } from "./idb";
import type { Journal } from "./journal";
import { API, expect, object, parsed, text, whole, type Members } from "./link";
import { getMeta, putMeta, type AttemptRow, type Enrolment } from "./meta";
import { readCheckpoint } from "./trust";

const SPENT = new Set(["enrolment.code_unknown", "enrolment.already_enrolled"]);

export interface AboutDevice {
  /** As the bureau lists it; 1–200 characters. */
  readonly name: string;
  readonly serial?: string;
}

/** Enrol with a code as a person typed it; the first epoch is open when this answers. */
export async function enrol(
  database: Database,
  journal: Journal,
  code: string,
  about: AboutDevice,
): Promise<Enrolment> {
  const known = await database.read(["meta"], (tx) => getMeta(tx, "enrolment"));
  // Its journal may hold what is not delivered yet, and belongs to the device that it was.
  if (known !== undefined) throw new Failure("enrolment.already_done", known.device);
  const typed = normalise(code);
  const attempt = await attemptFor(database, typed);
  const members = await ask(database, attempt, typed, about);
  const enrolment = pinned(members, attempt, about);
  const checkpoint = text(members, "checkpoint");
  await verified(enrolment, checkpoint, whole(members, "enrolled_index"));
  await journal.begin(enrolment, attempt.key, checkpoint);
  return enrolment;
}

/** The same device and key for the same code, so that a repeat is a repeat. */
async function attemptFor(database: Database, typed: string): Promise<AttemptRow> {
  const codeDigest = await sha256Hex(utf8(typed));
  const known = await database.read(["meta"], (tx) => getMeta(tx, "enrolling"));
  if (known?.codeDigest === codeDigest) return known;
  const fresh = { codeDigest, device: crypto.randomUUID(), key: await makeKey(), sent: false };
  await database.write(["meta"], async (tx) => putMeta(tx, "enrolling", fresh));
  return fresh;
}

async function ask(
  database: Database,
  attempt: AttemptRow,
  code: string,
  about: AboutDevice,
): Promise<Members> {
  const { key, device } = attempt;
  const proof = enrolmentProof(code, device, key.keyId);
  const request = {
    code,
    device: { id: device, kind: "phone", serial: about.serial ?? device, name: about.name },
    spki: toBase64url(key.spki),
    signature: toBase64url(await sign(key.privateKey, proof)),
  };
  // From here on an answer may be lost, and the code spent.
  await database.write(["meta"], async (tx) => putMeta(tx, "enrolling", { ...attempt, sent: true }));
  try {
    return parsed(expect(await postJson(`${API}/enrolments`, request), 201));
  } catch (error) {
    if (isFailure(error, "link.refused") && attempt.sent && SPENT.has(error.problem)) {
      throw new Failure("enrolment.unclear", error.problem, { cause: error });
    }
    throw error;
  }
}

function pinned(members: Members, attempt: AttemptRow, about: AboutDevice): Enrolment {
  const { device, key } = attempt;
  if (text(members, "device_id") !== device || text(members, "key_id") !== key.keyId) {
    throw new Failure("link.captive_portal", "an enrolment of another device");
  }
  const organization = object(members, "organization");
  return {
    device,
    name: about.name,
    keyId: key.keyId,
    organization: text(organization, "id"),
    organizationName: text(organization, "name"),
    origin: text(members, "origin"),
    generation: whole(members, "generation"),
    receiptKey: text(members, "receipt_key"),
    ledgerKey: text(members, "ledger_key"),
  };
}

/** What is to be pinned must fit together, and the ledger must hold this very enrolment. */
async function verified(enrolment: Enrolment, checkpoint: string, index: number): Promise<void> {
  try {
    await parseVerifierKey(enrolment.receiptKey);
    await parseVerifierKey(enrolment.ledgerKey);
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    throw new Failure("link.captive_portal", "keys that are none", { cause: error });
  }
  if ((await readCheckpoint(checkpoint, enrolment)).size <= index) {
    throw new Failure("trust.checkpoint_invalid", "it does not contain this enrolment");
  }
}
