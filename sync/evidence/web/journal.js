// Step 5: the journals: complete, in order, signed by enrolled keys, taken in by the ledger.

/** A hole of more lines than this is named by its ends. */
const NAMED_ONE_BY_ONE = 1000;
const SIGNATURE_BATCH = 256;

function placeOf(name, seq) {
  return { file: journalPath(name), device: name.device, epoch: name.epoch, branch: name.branch, seq };
}

function wholeOrNone(value) {
  return Number.isSafeInteger(value) ? value : -1;
}

function listOf(act, name) {
  return Array.isArray(act[name]) ? act[name] : [];
}

/** The readable lines of one chain by seq, each once, in order. */
class Chain {
  constructor(name, lines) {
    this.name = name;
    this.lines = lines;
  }

  get first() {
    return this.lines.size ? this.lines.keys().next().value : 0;
  }

  /** The lines whose act can be read. */
  get disclosed() {
    return [...this.lines.values()].filter((line) => line.act !== null);
  }

  place(seq) {
    return placeOf(this.name, seq);
  }
}

async function readChain(book, source, name, path) {
  const read = [], spoiled = new Set();
  // Without holes the line after seq n is n + 1: the name of one that cannot be read.
  let guess = 0;
  for await (const bytes of source.lines(path)) {
    let line;
    try {
      line = parseLine(bytes);
    } catch (error) {
      book.failed("journal.unreadable", { ...placeOf(name, guess), reason: reasonOf(error) });
      spoiled.add(guess++);
      continue;
    }
    if (line.device !== name.device || line.epoch !== name.epoch) {
      const belongs = { belongs_device: line.device, belongs_epoch: line.epoch };
      book.failed("journal.elsewhere", { ...placeOf(name, line.seq), ...belongs });
      continue;
    }
    read.push(line);
    guess = line.seq + 1;
  }
  const once = nameRepeated(book, name, read);
  const sorted = [...once].sort((left, right) => left.seq - right.seq);
  once.forEach((line, place) => {
    if (line.seq !== sorted[place].seq) book.failed("journal.swapped", placeOf(name, line.seq));
  });
  const lines = new Map(sorted.map((line) => [line.seq, line]));
  nameHoles(book, name, lines, spoiled);
  checkLinks(book, name, lines);
  return new Chain(name, lines);
}

function nameRepeated(book, name, lines) {
  const kept = new Map();
  for (const line of lines) {
    const first = kept.get(line.seq);
    if (!first) {
      kept.set(line.seq, line);
      continue;
    }
    const code = first.digest === line.digest ? "journal.doubled" : "journal.two_for_one_place";
    book.failed(code, placeOf(name, line.seq));
  }
  return [...kept.values()];
}

function nameHoles(book, name, lines, spoiled) {
  const known = [...new Set([...lines.keys(), ...spoiled])].sort((left, right) => left - right);
  // A branch begins where it leaves the main chain.
  let expected = known.length && name.branch ? known[0] : 0;
  for (const seq of known) {
    nameMissing(book, name, expected, seq);
    expected = seq + 1;
  }
}

function nameMissing(book, name, start, end) {
  if (end - start > NAMED_ONE_BY_ONE) {
    book.failed("journal.missing_range", { ...placeOf(name, start), last: end - 1 });
    return;
  }
  for (let seq = start; seq < end; seq++) book.failed("journal.missing", placeOf(name, seq));
}

function checkLinks(book, name, lines) {
  const sizes = new Map();
  for (const [seq, line] of lines) {
    const before = lines.get(seq - 1);
    const expected = seq === 0 ? GENESIS : before ? before.digest : line.prev;
    if (line.prev !== expected) book.failed("journal.unlinked", placeOf(name, seq));
    if (!line.anchor) continue;
    if (line.anchor.size < (sizes.get(line.anchor.origin) ?? 0)) book.failed("journal.anchor_shrinks", placeOf(name, seq));
    sizes.set(line.anchor.origin, line.anchor.size);
  }
}

async function checkJournal(book, source, trust, ledger, index) {
  const mark = book.mark;
  const chains = await readChains(book, source);
  checkHeads(book, chains, index);
  const ingests = ingestsOf(ledger);
  checkIngests(book, chains, ingests);
  checkBranches(book, chains);
  const lines = [...chains.values()].reduce((sum, chain) => sum + chain.lines.size, 0);
  book.conclude(mark, "journal.complete", { chains: chains.size, lines });
  const withheld = lines - [...chains.values()].reduce((sum, chain) => sum + chain.disclosed.length, 0);
  if (withheld) book.notChecked("journal.withheld", { count: withheld, lines });
  const keys = new Map((trust.keys?.devices ?? []).map((key) => [key.key_id, key]));
  checkDeviceKeys(book, chains, keys, ledger);
  await checkSignatures(book, chains, keys);
  checkOpenings(book, chains);
  nameAfterRevocation(book, chains, ledger, ingests);
  const provedAnchors = await checkAnchors(book, source, chains, trust.checkpoint);
  return { chains, ingests, provedAnchors };
}

async function readChains(book, source) {
  const chains = new Map();
  for (const path of source.names) {
    const match = JOURNAL_PATH.exec(path);
    if (!match) {
      if (path.startsWith("data/journal/")) book.failed("journal.file_name", { file: path });
      continue;
    }
    const name = { device: match[1], epoch: match[2], branch: match[3] ?? "" };
    try {
      chains.set(chainKey(name), await readChain(book, source, name, path));
    } catch (error) {
      book.failed("journal.file_unreadable", { file: path, reason: reasonOf(error) });
    }
  }
  return chains;
}

/** The case index says how far each chain goes, so that none can be cut short. */
function checkHeads(book, chains, index) {
  if (!index) {
    book.notChecked("journal.no_index");
    return;
  }
  const listed = new Map(index.chains.map((head) => [chainKey(head), head]));
  for (const [key, chain] of chains) if (!listed.has(key)) book.failed("journal.chain_unlisted", chain.place(0));
  for (const [key, head] of listed) {
    const chain = chains.get(key);
    if (!chain) {
      book.failed("journal.chain_missing", { ...placeOf(head, 0), last: head.next_seq - 1 });
      continue;
    }
    const seqs = [...chain.lines.keys()];
    nameMissing(book, head, seqs.length ? seqs[seqs.length - 1] + 1 : 0, head.next_seq);
    for (const seq of seqs) if (seq >= head.next_seq) book.failed("journal.beyond_index", chain.place(seq));
    const last = chain.lines.get(head.next_seq - 1);
    if (last && last.digest !== head.head) book.failed("journal.other_head", chain.place(last.seq));
  }
}

/** The events that took lines in, by chain and seq. */
function ingestsOf(ledger) {
  const ingests = new Map();
  for (const event of ledger.ofKind("ingest", "branch")) {
    const { device, epoch, branch = "", seq } = event.subject;
    const name = { device: String(device), epoch: String(epoch), branch: String(branch) };
    ingests.set(`${chainKey(name)}/${wholeOrNone(seq)}`, { event, name, seq: wholeOrNone(seq) });
  }
  return ingests;
}

/** Every line taken in is here unchanged, and every line of this case was taken in. */
function checkIngests(book, chains, ingests) {
  for (const { event, name, seq } of ingests.values()) {
    const line = chains.get(chainKey(name))?.lines.get(seq);
    const values = { ...placeOf(name, seq), index: event.index };
    if (!line) book.failed("journal.taken_in_but_missing", values);
    else if (event.subject.digest !== line.digest) book.failed("journal.changed_since", values);
  }
  for (const [key, chain] of chains) {
    for (const { seq } of chain.disclosed) {
      if (!ingests.has(`${key}/${seq}`)) book.failed("journal.not_taken_in", chain.place(seq));
    }
  }
}

function checkBranches(book, chains) {
  for (const chain of chains.values()) {
    if (!chain.name.branch || !chain.lines.size) continue;
    const first = chain.lines.get(chain.first);
    if (first.digest !== chain.name.branch) book.failed("journal.branch_name", chain.place(first.seq));
    const before = [...chains.values()]
      .filter(({ name }) => name.device === chain.name.device && name.epoch === chain.name.epoch)
      .map((other) => other.lines.get(first.seq - 1)?.digest);
    const attached = before.includes(first.prev) || (first.seq === 0 && first.prev === GENESIS);
    // Two lines for one place are the device's doing, not the package's fault.
    book.notChecked(attached ? "journal.forked" : "journal.branch_unattached", chain.place(first.seq));
  }
}

function isEnrolled(ledger, key) {
  const event = ledger.events.get(key.enrolled_index);
  return event !== undefined && event.kind === "enrol" && event.subject.device === key.device &&
    event.subject.key_id === key.key_id && event.snapshot.spki === key.spki;
}

function checkDeviceKeys(book, chains, keys, ledger) {
  const mark = book.mark;
  for (const key of keys.values()) {
    const values = { file: KEYS, device: key.device, key_id: key.key_id };
    if (sha256Hex(key.der) !== key.key_id) book.failed("journal.key_id", values);
    else if (!isEnrolled(ledger, key)) book.failed("journal.key_not_enrolled", values);
  }
  for (const chain of chains.values()) {
    const lines = [...chain.lines.values()];
    const used = [...new Set(lines.map((line) => line.keyId))].sort();
    if (used.length > 1) {
      book.failed("journal.two_keys", chain.place(lines.find((line) => line.keyId !== lines[0].keyId).seq));
    }
    for (const key_id of used) {
      if (keys.get(key_id)?.device !== chain.name.device) book.failed("journal.key_unknown", { ...chain.place(chain.first), key_id });
    }
  }
  book.conclude(mark, "journal.keys_enrolled", { count: keys.size });
}

async function checkSignatures(book, chains, keys) {
  const mark = book.mark, usable = new Map();
  for (const key of keys.values()) {
    try {
      usable.set(key.key_id, await p256Key(key.der));
    } catch (error) {
      book.failed("journal.key_malformed", { file: KEYS, device: key.device, reason: reasonOf(error) });
    }
  }
  const tasks = [...chains.values()].flatMap((chain) =>
    [...chain.lines.values()].filter((line) => usable.has(line.keyId)).map((line) => ({ chain, line })),
  );
  for (let start = 0; start < tasks.length; start += SIGNATURE_BATCH) {
    const batch = tasks.slice(start, start + SIGNATURE_BATCH);
    const good = await Promise.all(
      batch.map(({ line }) => p256Verify(usable.get(line.keyId), line.signed, line.signature)),
    );
    batch.forEach(({ chain, line }, place) => {
      if (!good[place]) book.failed("journal.bad_signature", chain.place(line.seq));
    });
  }
  book.conclude(mark, "journal.signatures_all", { count: tasks.length });
}

/** The first line of an epoch names its key, and the epoch before, so that none is dropped. */
function checkOpenings(book, chains) {
  for (const chain of chains.values()) {
    const first = chain.lines.get(0);
    if (!first || chain.name.branch) continue;
    if (first.act === null) {
      book.notChecked("journal.opening_withheld", chain.place(0));
      continue;
    }
    if (first.act.type !== "epoch.opened" || !namesItsKey(first)) book.failed("journal.no_opening", chain.place(0));
    const { before } = first.act;
    if (isObject(before)) checkEpochBefore(book, chains, chain, before);
  }
}

function namesItsKey(line) {
  try {
    return sha256Hex(fromBase64url(line.act.spki)) === line.keyId;
  } catch (error) {
    reasonOf(error); // only a spelling is forgiven here
    return false;
  }
}

function checkEpochBefore(book, chains, chain, before) {
  const values = { ...chain.place(0), before: before.epoch };
  const name = { device: chain.name.device, epoch: String(before.epoch), branch: "" };
  const line = chains.get(chainKey(name))?.lines.get(wholeOrNone(before.seq));
  if (!line) book.notChecked("journal.epoch_before_absent", values);
  else if (line.digest !== before.head) book.failed("journal.epoch_before_differs", values);
}

/** Lines that came in since their key is revoked are kept, and doubtful. */
function nameAfterRevocation(book, chains, ledger, ingests) {
  const revocations = ledger.ofKind("revoke");
  for (const [key, chain] of revocations.length ? chains : []) {
    for (const [seq, line] of chain.lines) {
      const ingest = ingests.get(`${key}/${seq}`)?.event;
      const isSince = (event) => {
        const stated = event.snapshot.revoked_from_ms;
        const backDated = Number.isSafeInteger(stated) && stated < event.at_ms && ingest.at_ms >= stated;
        return event.subject.key_id === line.keyId && (backDated || ingest.index > event.index);
      };
      if (ingest && revocations.some(isSince)) book.notChecked("journal.after_revocation", chain.place(seq));
    }
  }
}

/** The checkpoint grew out of every checkpoint that a device had seen: nothing was rewritten. */
async function checkAnchors(book, source, chains, checkpoint) {
  const proved = new Set();
  if (!checkpoint) {
    book.notChecked("journal.anchors_unchecked");
    return proved;
  }
  const mark = book.mark;
  for (const { size, root, path } of await readConsistency(book, source)) {
    try {
      verifyConsistency({ first: size, second: checkpoint.size, firstRoot: root, secondRoot: checkpoint.root, path });
      proved.add(`${size}/${toHex(root)}`);
    } catch (error) {
      book.failed("journal.inconsistent", { file: CONSISTENCY, size, reason: reasonOf(error) });
    }
  }
  let elsewhere = 0;
  for (const chain of chains.values()) {
    for (const [seq, { anchor }] of chain.lines) {
      if (!anchor) continue;
      if (anchor.origin !== checkpoint.origin) elsewhere++;
      else if (!proved.has(`${anchor.size}/${anchor.root}`)) {
        book.failed("journal.anchor_unproved", { ...chain.place(seq), size: anchor.size });
      }
    }
  }
  book.conclude(mark, "journal.anchors", { count: proved.size });
  if (elsewhere) book.notChecked("journal.anchors_elsewhere", { count: elsewhere });
  return proved;
}

async function readConsistency(book, source) {
  const records = [];
  try {
    for await (const line of source.lines(CONSISTENCY)) records.push(parseConsistency(line));
  } catch (error) {
    book.failed("journal.consistency_unreadable", { file: CONSISTENCY, reason: reasonOf(error) });
  }
  return records;
}
