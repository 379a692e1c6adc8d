// Which key takes over the ledger from which: each new one is named by the one before it.

const SUCCESSION = "proofs/ledger-keys.ndjson";
const ENDORSEMENT = "liuhen/ledger-key/v1";

/** The endorsements enclosed; a ledger that never changed its key has none. */
async function readSuccession(source) {
  const notes = [];
  if (!source.has(SUCCESSION)) return notes;
  for await (const line of source.lines(SUCCESSION)) {
    try {
      notes.push(exactly(loadCanonical(line), { note: "text" }).note);
    } catch (error) {
      reasonOf(error); // what is none of them leads nowhere
    }
  }
  return notes;
}

/** The keys to which ``endorsements`` lead from ``known``, those known first. */
async function successors(known, endorsements) {
  const reached = [...known];
  let left = [...endorsements];
  for (let moved = true; moved; ) {
    moved = false;
    for (const note of left) {
      const key = await endorsedKey(note, reached);
      if (!key) continue;
      left = left.filter((one) => one !== note);
      moved = true;
      if (!reached.some((one) => one.text === key.text)) reached.push(key);
    }
  }
  return reached;
}

/** The key that ``note`` names, if one of ``reached`` signed it, under whatever name. */
async function endorsedKey(note, reached) {
  try {
    const { text, signatures } = parseNote(note);
    const rows = text.split("\n");
    if (rows.length !== 3 || rows[0] !== ENDORSEMENT || rows[2]) refuse("no endorsement of a ledger's key");
    const key = parseVerifierKey(rows[1]);
    const names = [...new Set(signatures.map(({ name }) => name))];
    const signers = names.flatMap((name) =>
      reached.map(({ publicKey }) => ({ name, publicKey, keyHash: noteKeyHash(name, publicKey) })),
    );
    await openNote(note, signers);
    return key;
  } catch (error) {
    reasonOf(error);
    return null;
  }
}

/** Whether a key of this very ledger that is known outside named ``enclosed``, if by others. */
async function leadsTo(outside, enclosed, endorsements) {
  const known = outside.filter((key) => key.name === enclosed.name);
  const reached = await successors(known, endorsements);
  return reached.some((key) => same(key.publicKey, enclosed.publicKey));
}

/** Whether the ledger's key ``text`` comes from one that the ledger published. */
async function comesFrom(published, text, endorsements) {
  const parsed = [text, ...published].map((spelled) => {
    try {
      return parseVerifierKey(String(spelled));
    } catch (error) {
      reasonOf(error); // the key of a device stands there in another form
      return null;
    }
  });
  const [key, ...known] = parsed;
  const reached = await successors(known.filter(Boolean), endorsements);
  return key !== null && reached.some((one) => same(one.publicKey, key.publicKey));
}
