// C2SP signed notes, checkpoints, the package's statements, and receipts.

const NOTE_SIGNATURE = "\u2014 ";
/** Blanks as the program knows them, which are not those of this language. */
const BLANK = "\\p{White_Space}\\x1c-\\x1f";
const NOTE_NAME = new RegExp(`^[^${BLANK}+]+$`, "u");
const OUTER_BLANKS = new RegExp(`^[${BLANK}]+|[${BLANK}]+$`, "gu");
const ED25519_TYPE = 1;
const MAX_SIGNATURES = 100;

function noteKeyHash(name, publicKey) {
  return sha256(utf8(name + "\n"), Uint8Array.of(ED25519_TYPE), publicKey).subarray(0, 4);
}

/** A verifier key ``name+hash+base64``. */
function parseVerifierKey(text) {
  const spelled = text.replace(OUTER_BLANKS, "");
  const [name, hash, ...rest] = spelled.split("+");
  if (!rest.length) refuse("not name+hash+key");
  const data = fromBase64(rest.join("+"));
  if (data.length !== 33 || data[0] !== ED25519_TYPE) refuse("not an Ed25519 key");
  if (!NOTE_NAME.test(name)) refuse("a key name has no spaces and no plus signs");
  const publicKey = data.subarray(1);
  edPoint(publicKey);
  const keyHash = noteKeyHash(name, publicKey);
  if (toHex(keyHash) !== hash.toLowerCase()) refuse("the key hash is not that of the key");
  return { name, publicKey, keyHash, text: `${name}+${toHex(keyHash)}+${toBase64(data)}` };
}

/** The text of ``note`` if one of ``keys`` signed it. */
async function openNote(note, keys) {
  const { text, signatures } = parseNote(note);
  let signed = false;
  for (const key of keys) {
    for (const { name, data } of signatures) {
      if (name !== key.name || !same(data.subarray(0, 4), key.keyHash)) continue;
      if (!(await ed25519Verify(key.publicKey, utf8(text), data.subarray(4)))) {
        refuse(`the signature of ${key.name} does not verify`);
      }
      signed = true;
    }
  }
  return signed ? text : refuse("signed by none of the known keys");
}

function parseNote(note) {
  if (!note.endsWith("\n") || /[\x00-\x09\x0b-\x1f\x7f]/.test(note)) refuse("no note");
  const end = note.lastIndexOf("\n\n");
  if (end < 0) refuse("no signatures");
  const rows = note.slice(end + 2).split("\n").slice(0, -1);
  if (rows.length < 1 || rows.length > MAX_SIGNATURES) refuse(`between 1 and ${MAX_SIGNATURES} signatures`);
  return { text: note.slice(0, end + 1), signatures: rows.map(parseSignature) };
}

function parseSignature(row) {
  const rest = row.slice(NOTE_SIGNATURE.length), blank = rest.indexOf(" ");
  const name = blank < 0 ? rest : rest.slice(0, blank);
  if (!row.startsWith(NOTE_SIGNATURE) || !NOTE_NAME.test(name)) refuse("a signature line of another form");
  const data = fromBase64(blank < 0 ? "" : rest.slice(blank + 1));
  if (data.length < 5) refuse("a signature that is not base64");
  return { name, data };
}

function parseCheckpoint(text) {
  const rows = text.split("\n");
  const lines = rows.slice(0, -1);
  if (rows.length < 4 || rows[rows.length - 1] || !lines.every(Boolean)) {
    refuse("a checkpoint has at least three lines, none empty");
  }
  const [origin, size, encoded] = rows;
  if (!/^(?:0|[1-9][0-9]{0,18})$/.test(size)) refuse("a tree size is a decimal number");
  const root = fromBase64(encoded);
  if (root.length !== 32) refuse("a root of 32 bytes");
  return { origin, size: Number(size), root };
}

/** The checkpoint in ``note`` if one of ``keys`` signed it that bears its ledger's name. */
async function openCheckpoint(note, keys) {
  const checkpoint = parseCheckpoint(parseNote(note).text);
  await openNote(note, keys.filter(({ name }) => name === checkpoint.origin));
  return checkpoint;
}

function parseStatement(text) {
  const rows = text.split("\n");
  if (rows.length !== 5 || rows[0] !== "liuhen/package/v1" || rows[4]) refuse("not a statement of this version");
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(rows[2]) || !/^[0-9a-f]{64}$/.test(rows[3])) refuse("a number and a digest");
  return { origin: rows[1], ledgerSize: Number(rows[2]), tagManifest: rows[3] };
}

const RECEIPT_FIELDS = ["origin", "generation", "device", "epoch", "branch", "first_seq", "last_seq",
  "last_digest", "first_index", "server_ms", "clock"];
const RECEIPT_NUMBERS = new Set(["generation", "first_seq", "last_seq", "first_index", "server_ms"]);

function parseReceipt(text) {
  const rows = text.split("\n");
  if (rows.length !== RECEIPT_FIELDS.length + 2 || rows[0] !== "liuhen/receipt/v1" || rows[rows.length - 1]) {
    refuse("not a receipt of this version");
  }
  const receipt = {};
  RECEIPT_FIELDS.forEach((name, place) => {
    const row = rows[place + 1];
    const value = row.startsWith(name + " ") ? row.slice(name.length + 1) : "";
    if (!value) refuse(`receipt.${name}: missing`);
    if (RECEIPT_NUMBERS.has(name) && !/^(?:0|[1-9][0-9]{0,15})$/.test(value)) refuse(`receipt.${name}: a whole number`);
    receipt[name] = RECEIPT_NUMBERS.has(name) ? Number(value) : value;
  });
  if (receipt.branch === "-") receipt.branch = "";
  return receipt;
}
