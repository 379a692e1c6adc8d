// Steps 1 to 4: the ZIP, the bag, whose keys these are, and what the ledger proves.

function checkContainer(book, source, files) {
  const whole = source.file.name;
  const mark = book.mark;
  for (const { name, part } of source.faults) book.failed("container." + part, { file: name || whole });
  for (const [name, file] of files) {
    if (file.unreadable) book.failed("container.unreadable", { file: name, reason: file.unreadable });
    else if (!file.crcGood) book.failed("container.crc", { file: name });
  }
  book.conclude(mark, "container.exact", { count: files.size });
}

async function checkBag(book, source, files) {
  for (const name of REQUIRED) if (!files.has(name)) book.failed("bag.required", { file: name });
  const isPayload = (name) => name.startsWith("data/");
  const names = [...files.keys()];
  const payload = names.filter(isPayload);
  const tags = names.filter((name) => !isPayload(name) && !UNLISTED.includes(name));
  await checkManifest(book, source, files, MANIFEST, payload);
  await checkManifest(book, source, files, TAG_MANIFEST, tags);
  if (files.has(SM3_MANIFEST)) book.notChecked("web.sm3", { file: SM3_MANIFEST });
  await checkDeclaration(book, source, files, payload);
}

async function checkManifest(book, source, files, manifest, names) {
  let listed;
  try {
    listed = parseManifest(fromUtf8(await source.read(manifest)));
  } catch (error) {
    book.failed("bag.malformed", { file: manifest, reason: reasonOf(error) });
    return;
  }
  const mark = book.mark, here = new Set(names);
  for (const [name, digest] of listed) {
    const file = here.has(name) ? files.get(name) : null;
    if (!file) book.failed("bag.missing", { file: name, manifest });
    else if (file.sha256 && file.sha256 !== digest) book.failed("bag.digest", { file: name, manifest });
  }
  for (const name of names) if (!listed.has(name)) book.failed("bag.extra", { file: name, manifest });
  book.conclude(mark, "bag.exact", { file: manifest, count: listed.size });
}

async function checkDeclaration(book, source, files, payload) {
  const mark = book.mark;
  const absent = [BAGIT, BAG_INFO].find((name) => !source.has(name));
  if (absent) {
    // A file that is not there has been named above.
    book.notChecked("bag.declaration_unread", { reason: "not there" });
    return;
  }
  let file = BAGIT;
  try {
    if (fromUtf8(await source.read(BAGIT)) !== BAGIT_TEXT) refuse("");
    file = BAG_INFO;
    const fields = parseInfo(fromUtf8(await source.read(BAG_INFO)));
    const sizes = payload.map((name) => files.get(name).size).filter((size) => size !== undefined);
    const oxum = `${sizes.reduce((sum, size) => sum + size, 0)}.${sizes.length}`;
    if (fields.get("Payload-Oxum") !== oxum) book.failed("bag.oxum", { file: BAG_INFO, expected: oxum });
  } catch (error) {
    book.failed("bag.malformed", { file, reason: reasonOf(error) });
  }
  book.conclude(mark, "bag.declared");
}

/** Step 3: keys, the checkpoint's signature, and the signed statement over the whole bag. */
async function checkTrust(book, source, files, outside) {
  const keys = await readKeys(book, source);
  let enclosed = null;
  if (keys) {
    try {
      enclosed = parseVerifierKey(keys.ledger);
    } catch (error) {
      book.failed("trust.keys_unreadable", { file: KEYS, reason: reasonOf(error) });
    }
  }
  const key = enclosed ? enclosed.text : "";
  const ledgerKeys = outside.length ? [...outside] : [enclosed].filter(Boolean);
  if (!outside.length) book.notChecked("trust.key_as_enclosed", { key });
  else if (outside.some((one) => one.text === key)) book.passed("trust.key_known", { key });
  else if (enclosed && (await leadsTo(outside, enclosed, await readSuccession(source)))) {
    book.passed("trust.key_endorsed", { key });
    ledgerKeys.push(enclosed);
  } else book.failed("trust.key_unknown", { file: KEYS, key });
  // A key that is known of another bureau signs nothing for this one.
  const own = ledgerKeys.filter((one) => !enclosed || one.name === enclosed.name);
  const checkpoint = await readCheckpoint(book, source, own);
  await checkStatement(book, source, files, own, checkpoint);
  return { keys, ledgerKeys: own, checkpoint };
}

async function readKeys(book, source) {
  try {
    return parseKeys(await source.read(KEYS));
  } catch (error) {
    book.failed("trust.keys_unreadable", { file: KEYS, reason: reasonOf(error) });
    return null;
  }
}

async function readNote(book, source, name, open) {
  try {
    return await open(fromUtf8(await source.read(name)));
  } catch (error) {
    book.failed("trust.note", { file: name, reason: reasonOf(error) });
    return null;
  }
}

async function readCheckpoint(book, source, ledgerKeys) {
  const checkpoint = await readNote(book, source, CHECKPOINT, (note) => openCheckpoint(note, ledgerKeys));
  if (checkpoint) book.passed("trust.checkpoint", { origin: checkpoint.origin, size: checkpoint.size });
  return checkpoint;
}

async function checkStatement(book, source, files, ledgerKeys, checkpoint) {
  const mark = book.mark;
  const open = async (note) => parseStatement(await openNote(note, ledgerKeys));
  const statement = await readNote(book, source, STATEMENT, open);
  if (!statement) return;
  if (files.get(TAG_MANIFEST)?.sha256 !== statement.tagManifest) book.failed("trust.statement", { file: TAG_MANIFEST });
  if (checkpoint && (statement.origin !== checkpoint.origin || statement.ledgerSize !== checkpoint.size)) {
    book.failed("trust.statement_elsewhere", { file: STATEMENT });
  }
  book.conclude(mark, "trust.signed");
}

/** Each line of a file with its number; a file that cannot be read is named. */
async function* numberedLines(book, source, name, code) {
  let number = 0;
  try {
    for await (const line of source.lines(name)) yield [++number, line];
  } catch (error) {
    book.failed(code, { file: name, reason: reasonOf(error) });
  }
}

/** Step 4: every custody event is the one behind its leaf, every leaf under the checkpoint. */
async function checkLedger(book, source, trust, index) {
  const { checkpoint } = trust;
  const tied = new Map();
  if (checkpoint && index && (index.ledger.origin !== checkpoint.origin || index.ledger.size !== checkpoint.size)) {
    book.failed("ledger.other_state", { file: INDEX });
  }
  const proved = await proveEntries(book, source, checkpoint);
  let elsewhere = 0;
  const events = await readEvents(book, source);
  if (!checkpoint) {
    book.notChecked("ledger.no_checkpoint");
    return new Ledger(tied);
  }
  const mark = book.mark;
  for (const event of events) {
    if (index && event.generation !== index.ledger.generation) elsewhere++;
    else if (isTied(book, event, proved)) tied.set(event.index, { index: event.index, ...event.event });
  }
  const ledger = new Ledger(tied);
  checkOrder(book, ledger);
  book.conclude(mark, "ledger.events", { count: tied.size });
  if (elsewhere) book.notChecked("ledger.other_generation", { count: elsewhere });
  if (trust.keys) await checkServerKeys(book, trust.keys, ledger, await readSuccession(source));
  return ledger;
}

/** The proved events by their place. */
class Ledger {
  constructor(events) {
    this.events = events;
    this.ordered = [...events.values()].sort((left, right) => left.index - right.index);
  }

  ofKind(...kinds) {
    return this.ordered.filter((event) => kinds.includes(event.kind));
  }
}

async function proveEntries(book, source, checkpoint) {
  const proved = new Map(), seen = new Set();
  let failed = false;
  for await (const [line, bytes] of numberedLines(book, source, INCLUSION, "ledger.unreadable")) {
    let record;
    try {
      record = parseInclusion(bytes);
    } catch (error) {
      book.failed("ledger.line", { file: INCLUSION, line, reason: reasonOf(error) });
      continue;
    }
    if (seen.has(record.index)) book.failed("ledger.line", { file: INCLUSION, line, reason: "twice" });
    seen.add(record.index);
    if (!checkpoint) continue;
    try {
      verifyInclusion(leafHash(record.entry), { ...record, size: checkpoint.size, root: checkpoint.root });
      proved.set(record.index, record.entry);
    } catch (error) {
      failed = true;
      book.failed("ledger.not_included", { file: INCLUSION, index: record.index, reason: reasonOf(error) });
    }
  }
  if (checkpoint && !failed) book.passed("ledger.inclusion", { count: proved.size, size: checkpoint.size });
  return proved;
}

async function readEvents(book, source) {
  const events = [];
  let before = [-1, -1];
  for await (const [line, bytes] of numberedLines(book, source, CUSTODY, "ledger.unreadable")) {
    try {
      const event = parseCustody(bytes);
      const isLater = event.generation - before[0] || event.index - before[1];
      if (isLater <= 0) book.failed("ledger.line", { file: CUSTODY, line, reason: "out of order" });
      else before = [event.generation, event.index];
      events.push(event);
    } catch (error) {
      book.failed("ledger.line", { file: CUSTODY, line, reason: reasonOf(error) });
    }
  }
  return events;
}

function isTied(book, event, proved) {
  const entry = proved.get(event.index);
  if (!entry) book.failed("ledger.unproved", { file: CUSTODY, index: event.index });
  else if (!same(entry, event.entry)) book.failed("ledger.altered", { file: CUSTODY, index: event.index });
  else return true;
  return false;
}

function checkOrder(book, ledger) {
  ledger.ordered.forEach((event, place) => {
    if (place && event.at_ms < ledger.ordered[place - 1].at_ms) {
      book.failed("ledger.time_runs_back", { file: CUSTODY, index: event.index });
    }
  });
}

/** The receipt key counts because the ledger published it, not because it lies here. */
async function checkServerKeys(book, keys, ledger, endorsements) {
  const published = ledger.ofKind("enrol").map((event) => event.snapshot.verifier_key);
  for (const use of ["ledger", "receipt"]) {
    const isPublished = published.includes(keys[use]) ||
      // A generation that has ended goes on being signed by the keys of those after it.
      (use === "ledger" && (await comesFrom(published, keys[use], endorsements)));
    if (isPublished) book.passed("ledger.key_published", { key: keys[use], use });
    else book.failed("ledger.key_unpublished", { file: KEYS, key: keys[use], use });
  }
}
