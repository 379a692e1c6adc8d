// What a package holds and under which names; its records read strictly (docs/evidence.md §8).

const INDEX = "data/case-index.json";
const CUSTODY = "data/custody.ndjson";
const FINDINGS = "data/findings.json";
const DERIVATIONS = "data/derived/derivations.json";
const KEYS = "proofs/keys.json";
const CHECKPOINT = "proofs/checkpoint";
const INCLUSION = "proofs/inclusion.ndjson";
const CONSISTENCY = "proofs/consistency.ndjson";
const RECEIPTS = "proofs/receipts.ndjson";
const STATEMENT = "proofs/package.note";
const MANIFEST = "manifest-sha256.txt";
const TAG_MANIFEST = "tagmanifest-sha256.txt";
const SM3_MANIFEST = "manifest-sm3.txt";
const BAGIT = "bagit.txt";
const BAG_INFO = "bag-info.txt";
const BAGIT_TEXT = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";
const REQUIRED = [BAG_INFO, BAGIT, INDEX, CUSTODY, FINDINGS, MANIFEST, CHECKPOINT, CONSISTENCY, INCLUSION, KEYS,
  STATEMENT, RECEIPTS, TAG_MANIFEST];
/** Tag files that the tag manifest cannot list: itself, and the signature over it. */
const UNLISTED = [TAG_MANIFEST, STATEMENT];

const JOURNAL_PATH = /^data\/journal\/([0-9a-f-]{36})\/([0-9a-f]{32})(?:\.([0-9a-f]{64}))?\.ndjson$/;
const ORIGINAL_PATH = /^data\/original\/([0-9a-f]{64})\.[a-z0-9]{1,8}$/;
const DISPOSITIONS = ["enclosed", "withheld", "missing", "erased"];

function journalPath({ device, epoch, branch }) {
  return `data/journal/${device}/${epoch}${branch ? "." + branch : ""}.ndjson`;
}

/** One text for a chain, to look it up by. */
function chainKey({ device, epoch, branch }) {
  return `${device}/${epoch}/${branch}`;
}

function parseManifest(text) {
  const rows = text.split("\n");
  if (rows.pop()) refuse("the last line does not end");
  const digests = new Map();
  let before = "";
  rows.forEach((row, number) => {
    const match = /^([0-9a-f]{64}) {2}(.+)$/.exec(row);
    if (!match || !isName(match[2]) || match[2] <= before) refuse(`line ${number + 1}`);
    before = match[2];
    digests.set(match[2], match[1]);
  });
  return digests;
}

function parseInfo(text) {
  const rows = text.split("\n");
  if (rows.pop()) refuse("the last line does not end");
  return new Map(
    rows.map((row, number) => {
      const match = /^([A-Za-z][A-Za-z0-9-]*): ([^]*)$/.exec(row);
      return match ? [match[1], match[2]] : refuse(`line ${number + 1}`);
    }),
  );
}

const CHAIN_KINDS = { device: "text", epoch: "text", branch: "text" };

function parseIndex(bytes) {
  const value = exactly(loadCanonical(bytes), {
    v: "whole", inspection: "object", exported_at_ms: "whole", ledger: "object", chains: "list", items: "list",
    officers: "list", devices: "list", announced: "list",
  });
  exactly(value.ledger, { origin: "text", generation: "whole", size: "whole" });
  natural(value.ledger.size);
  if (value.v !== 1 || typeof value.inspection.id !== "string") refuse("version or inspection");
  value.chains.forEach((head) => {
    exactly(head, { ...CHAIN_KINDS, next_seq: "whole", head: "text" });
    natural(head.next_seq);
    digestText(head.head);
  });
  value.items.forEach(checkItem);
  value.officers.forEach((one) => exactly(one, { officer: "text", person: "text", name: "text", certificate_no: "text" }));
  if (!value.devices.every((one) => isObject(one) && typeof one.device === "string")) refuse("device");
  value.announced.forEach(digestText);
  return value;
}

function checkItem(item) {
  const kinds = { size: "whole", line: "object", about: "object" };
  for (const name of ["item", "sha256", "media_type", "class", "officer", "state", "disposition", "file", "reason"]) {
    kinds[name] = "text";
  }
  for (const name of ["discarded", "interval"]) if (isObject(item) && Object.hasOwn(item, name)) kinds[name] = "object";
  exactly(item, kinds);
  if (!DISPOSITIONS.includes(item.disposition)) refuse("disposition");
  if (Boolean(item.file) !== (item.disposition === "enclosed")) refuse("an enclosed item has a file, another has none");
  if (!item.reason && item.disposition !== "enclosed") refuse("an item that is not enclosed has a reason");
  digestText(item.sha256);
  natural(item.size);
  for (const place of [item.line, item.discarded].filter(Boolean)) {
    natural(exactly(place, { ...CHAIN_KINDS, seq: "whole" }).seq);
  }
  if (item.interval) checkInterval(item.interval);
}

function checkInterval(interval) {
  const kinds = { not_after_ms: "whole", not_after_index: "whole" };
  if (Object.hasOwn(interval, "not_before_ms")) Object.assign(kinds, { not_before_ms: "whole", not_before_index: "whole" });
  if (Object.hasOwn(interval, "outside")) kinds.outside = "object";
  exactly(interval, kinds);
}

function parseKeys(bytes) {
  const value = exactly(loadCanonical(bytes), { v: "whole", devices: "list", ledger: "text", receipt: "text" });
  if (value.v !== 1) refuse("an unknown version");
  for (const one of value.devices) {
    exactly(one, { device: "text", key_id: "text", spki: "text", enrolled_index: "whole" });
    digestText(one.key_id);
    natural(one.enrolled_index);
    one.der = fromBase64url(one.spki);
  }
  return value;
}

/** A place in a ledger, which has at most 15 digits. */
function ledgerPlace(value) {
  return natural(value) < 1e15 ? value : refuse("a place in a ledger");
}

function parseCustody(line) {
  const value = exactly(loadCanonical(line), { event: "object", generation: "whole", index: "whole", salt: "text" });
  const { event } = value;
  exactly(event, { v: "whole", kind: "text", at_ms: "whole", actor: "object", subject: "object", snapshot: "object" });
  const entry = sha256(fromHex(value.salt, 32), utf8(encodeCanonical(event)));
  return { event, generation: ledgerPlace(value.generation), index: ledgerPlace(value.index), entry };
}

function parseInclusion(line) {
  const value = exactly(loadCanonical(line), { index: "whole", leaf: "text", path: "list" });
  return { index: ledgerPlace(value.index), entry: fromHex(value.leaf, 32), path: value.path.map((one) => fromHex(one, 32)) };
}

function parseConsistency(line) {
  const value = exactly(loadCanonical(line), { size: "whole", root: "text", path: "list" });
  return { size: natural(value.size), root: fromHex(value.root, 32), path: value.path.map((one) => fromHex(one, 32)) };
}
