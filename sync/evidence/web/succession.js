// Which key takes over the ledger from which: each new one is named by the one before it.

const SUCCESSION = "proofs/ledger-keys.ndjson";
/** No ledger changes its key more often; whoever makes a package must not keep its reader waiting. */
const MAX_ENDORSEMENTS = 100;
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
  let left = endorsements.slice(0, MAX_ENDORSEMENTS);
  // It grows while it is walked: each key that is reached may lead on.
  for (const key of reached) {
    for (const note of left) {
      const named = await endorsedKey(note, key);
      if (!named) continue;
      left = left.filter((one) => one !== note);
      if (!reached.some((one) => one.text === named.text)) reached.push(named);
    }
  }
  return reached;
}

/** The key that ``note`` names, if the one of ``publicKey`` signed it, under whatever name. */
async function endorsedKey(note, { publicKey }) {
  try {
    const { text, signatures } = parseNote(note);
    const rows = text.split("\n");
    if (rows.length !== 3 || rows[0] !== ENDORSEMENT || rows[2]) refuse("no endorsement of a ledger's key");
    const named = parseVerifierKey(rows[1]);
    const names = [...new Set(signatures.map(({ name }) => name))];
    await openNote(note, names.map((name) => ({ name, publicKey, keyHash: noteKeyHash(name, publicKey) })));
    return named;
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
