// Steps 6 to 10: the case index, receipts, time intervals, duties, and what stands outside.

const MEDIA_ACTS = ["media.captured", "media.imported"];
/** What a reviewer can say of an item, and the states that such a word ends. */
const VERDICTS = ["accepted", "questioned", "rejected"];
const JUDGEABLE = [...VERDICTS, "captured", "stored", "checked"];
const ABSENT = { withheld: "case.withheld", missing: "case.missing", erased: "case.erased" };

const samePlace = (chain, seq, place) => chainKey(chain.name) === chainKey(place) && seq === place.seq;

/** Compare the index with the journals both ways, and with the files. */
async function checkCase(book, source, files, index, journal, ledger) {
  let mark = book.mark;
  checkAnnounced(book, index, journal);
  checkDiscards(book, index, journal);
  checkSeals(book, index, journal);
  checkStates(book, index, ledger);
  book.conclude(mark, "case.complete", { count: index.items.length });
  mark = book.mark;
  const enclosed = index.items.filter((item) => item.disposition === "enclosed");
  for (const item of enclosed) checkOriginal(book, files, item);
  const listed = new Set(enclosed.map((item) => item.file));
  for (const name of files.keys()) {
    if (name.startsWith("data/original/") && !listed.has(name)) book.failed("case.original_unlisted", { file: name });
  }
  book.conclude(mark, "case.originals", { count: enclosed.length });
  checkErased(book, index, ledger, journal);
  for (const { disposition, item, sha256, reason, discarded } of index.items) {
    if (disposition === "enclosed") continue;
    if (disposition === "withheld" && !discarded && reason !== "redacted") {
      book.failed("case.withheld_undiscarded", { file: INDEX, item, sha256 });
      continue;
    }
    book.notChecked(reason === "redacted" ? "case.redacted" : ABSENT[disposition], { item, sha256, reason });
  }
  checkCopies(book, source, index);
  await checkFindings(book, source, index, ledger);
}

/** The disclosed lines of these types, by item; a branch may repeat its main chain. */
function linesByItem(journal, types) {
  const found = new Map();
  const order = (left, right) => (left.name.branch < right.name.branch ? -1 : left.name.branch > right.name.branch ? 1 : 0);
  for (const chain of [...journal.chains.values()].sort(order)) {
    for (const line of chain.disclosed) {
      if (!types.includes(line.act.type)) continue;
      const item = String(line.act.item);
      if (!found.has(item)) found.set(item, []);
      found.get(item).push({ chain, line });
    }
  }
  return found;
}

function checkAnnounced(book, index, journal) {
  const announcements = linesByItem(journal, MEDIA_ACTS);
  const items = new Set(index.items.map((item) => item.item));
  if (items.size !== index.items.length) book.failed("case.item_twice", { file: INDEX });
  for (const [item, [{ chain, line }]] of announcements) {
    if (!items.has(item)) {
      book.failed("case.item_left_out", { ...chain.place(line.seq), item, sha256: String(line.act.sha256) });
    }
  }
  for (const item of index.items) {
    const announced = announcements.get(item.item) ?? [];
    if (!announced.length) {
      const line = journal.chains.get(chainKey(item.line))?.lines.get(item.line.seq);
      const isErased = item.disposition === "erased" && line && line.act === null;
      if (!isErased) book.failed("case.item_without_line", { file: INDEX, item: item.item });
      continue;
    }
    const here = announced.find(({ chain, line }) => samePlace(chain, line.seq, item.line));
    const { chain, line } = here ?? announced[0];
    const values = { ...chain.place(line.seq), item: item.item };
    const said = (name) => (typeof line.act[name] === "string" ? line.act[name] : "");
    const isSame = item.sha256 === line.act.sha256 && item.size === line.act.size &&
      ["media_type", "class", "officer"].every((name) => item[name] === said(name));
    if (!isSame) book.failed("case.item_differs", values);
    if (!here) book.failed("case.item_elsewhere", values);
  }
  const digests = [...new Set(index.items.map((item) => item.sha256))].sort();
  if (index.announced.join() !== digests.join()) book.failed("case.announced", { file: INDEX });
}

/** What was thrown away on the device stays listed, with the line that says why. */
function checkDiscards(book, index, journal) {
  const discards = linesByItem(journal, ["media.discarded"]);
  for (const { item, discarded } of index.items) {
    const places = discards.get(item) ?? [];
    discards.delete(item);
    if (!discarded) {
      for (const { chain, line } of places) book.failed("case.discard_hidden", { ...chain.place(line.seq), item });
    } else if (!places.some(({ chain, line }) => samePlace(chain, line.seq, discarded))) {
      book.failed("case.discard_without_line", { file: INDEX, item });
    }
  }
  for (const [item, [{ chain, line }]] of discards) {
    book.failed("case.item_left_out", { ...chain.place(line.seq), item, sha256: "" });
  }
}

/** What an item was judged to be is what the last reviewer said of it on the ledger. */
function checkStates(book, index, ledger) {
  const words = new Map();
  for (const event of ledger.ofKind("review")) {
    if (event.subject.inspection === index.inspection.id) words.set(String(event.subject.item), event);
  }
  for (const { item, state } of index.items) {
    const word = words.get(item);
    if (word && JUDGEABLE.includes(state) && state !== word.snapshot.verdict) {
      book.failed("case.state_differs", { file: INDEX, item, index: word.index });
    } else if (!word && VERDICTS.includes(state)) book.notChecked("case.state_unproved", { item });
  }
}

/** Whose original is withheld for a copy has one here; what the ledger says of it is for the program. */
function checkCopies(book, source, index) {
  const isAny = source.names.some((name) => name.startsWith("data/derived/"));
  if (isAny) book.notChecked("web.copies");
  for (const { item, reason } of index.items) {
    if (!isAny && reason === "redacted") book.failed("case.copy_missing", { file: DERIVATIONS, item });
  }
}

/** Every medium and every head that a seal names is here. */
function checkSeals(book, index, journal) {
  const digests = new Set(index.items.map((item) => item.sha256));
  for (const chain of journal.chains.values()) {
    for (const { seq, act } of chain.disclosed) {
      if (act.type === "peer.head") checkPeer(book, chain, seq, act, journal);
      if (act.type !== "inspection.sealed" || act.inspection !== index.inspection.id) continue;
      for (const sha256 of listOf(act, "media").map(String)) {
        if (!digests.has(sha256)) book.failed("case.sealed_left_out", { ...chain.place(seq), sha256 });
      }
      for (const head of listOf(act, "heads")) checkPeer(book, chain, seq, head, journal);
    }
  }
}

/** What one device noted of another's journal; a difference is a doubt, since both lines are signed. */
function checkPeer(book, chain, seq, head, journal) {
  if (!isObject(head)) return;
  const device = String(head.device), epoch = String(head.epoch), peer_seq = wholeOrNone(head.seq);
  const values = { ...chain.place(seq), peer: device };
  const theirs = [...journal.chains.values()].filter(({ name }) => name.device === device && name.epoch === epoch);
  // Of several branches the one that was read last counts, as for the other verifier.
  const digest = theirs.map((other) => other.lines.get(peer_seq)?.digest).filter(Boolean).pop();
  if (!theirs.length) book.notChecked("case.peer_absent", values);
  else if (!digest) book.notChecked("case.peer_beyond", { ...values, peer_seq });
  else if (digest !== head.head) book.notChecked("case.peer_differs", { ...values, peer_seq });
}

function checkOriginal(book, files, { item, file, sha256, size }) {
  const measured = files.get(file);
  if (!measured) book.failed("case.original_missing", { file, item });
  else if (ORIGINAL_PATH.exec(file)?.[1] !== sha256) book.failed("case.original_name", { file, item });
  else if (measured.sha256 && (measured.sha256 !== sha256 || measured.size !== size)) {
    book.failed("case.original_altered", { file, item });
  }
}

/** What was erased by law was erased by an order on the ledger, which names each digest. */
function checkErased(book, index, ledger, journal) {
  const absent = index.items.filter((item) => item.disposition === "erased");
  if (!absent.length) return;
  const orders = ledger.ofKind("erase").filter(({ subject }) => subject.inspection === index.inspection.id);
  const named = new Map(), laws = new Set(), used = new Set();
  for (const event of orders.filter(({ snapshot }) => snapshot.act === "erased")) {
    for (const one of listOf(event.snapshot, "items").filter(isObject)) {
      named.set(`${one.item}/${one.sha256}`, { event, digest: String(one.line) });
      laws.add(String(event.snapshot.law));
    }
  }
  const mark = book.mark;
  let last = -1;
  for (const { item, sha256, line: place } of absent) {
    const found = named.get(`${item}/${sha256}`);
    if (!found) {
      book.failed("case.erased_unproved", { file: INDEX, item, sha256 });
      continue;
    }
    used.add(found.event);
    last = Math.max(last, found.event.index);
    const line = journal.chains.get(chainKey(place))?.lines.get(place.seq);
    if (line && line.digest !== found.digest) {
      book.failed("case.erased_elsewhere", { file: INDEX, item, index: found.event.index });
    }
  }
  for (const event of used) {
    if (!isApproved(event, orders)) book.failed("case.erased_unapproved", { file: INDEX, index: event.index });
  }
  book.conclude(mark, "case.erased_lawfully", { count: absent.length, law: [...laws].sort().join("; "), index: last });
}

/** Whether one person asked for what ``erased`` did, and another one approved it, before. */
function isApproved(erased, orders) {
  const persons = new Map();
  for (const { index, subject, snapshot, actor } of orders) {
    if (subject.order === erased.subject.order && index < erased.index) persons.set(snapshot.act, actor.person);
  }
  const [asked, approved] = ["requested", "approved"].map((act) => persons.get(act));
  return typeof asked === "string" && typeof approved === "string" && asked !== approved;
}

/** Step 7: each receipt is signed and speaks of lines that are here, unchanged. */
async function checkReceipts(book, source, trust, journal) {
  let key = null;
  try {
    key = trust.keys && parseVerifierKey(trust.keys.receipt);
  } catch (error) {
    reasonOf(error); // an unusable key fails every receipt below, by number
  }
  const mark = book.mark;
  let count = 0, unsynchronised = 0;
  for await (const [line, bytes] of numberedLines(book, source, RECEIPTS, "receipts.unreadable")) {
    let receipt;
    try {
      const { note } = exactly(loadCanonical(bytes), { note: "text" });
      receipt = parseReceipt(await openNote(note, key ? [key] : []));
    } catch (error) {
      book.failed("receipts.bad", { file: RECEIPTS, line, reason: reasonOf(error) });
      continue;
    }
    count++;
    if (receipt.clock !== "synchronised") unsynchronised++;
    checkReceipt(book, receipt, line, journal);
  }
  if (count) book.conclude(mark, "receipts.good", { count });
  else book.notChecked("receipts.none");
  if (unsynchronised) book.notChecked("receipts.clock", { count: unsynchronised });
}

function checkReceipt(book, receipt, number, journal) {
  const lines = journal.chains.get(chainKey(receipt))?.lines ?? new Map();
  let named = 0;
  // A receipt may claim more lines than anyone could count.
  for (let seq = receipt.first_seq; seq <= receipt.last_seq && named < NAMED_ONE_BY_ONE; seq++) {
    if (lines.has(seq)) continue;
    book.failed("receipts.line_missing", { ...placeOf(receipt, seq), line: number });
    named++;
  }
  const last = lines.get(receipt.last_seq);
  if (last && last.digest !== receipt.last_digest) {
    book.failed("receipts.line_differs", { ...placeOf(receipt, last.seq), line: number });
  }
  const ingest = journal.ingests.get(`${chainKey(receipt)}/${receipt.first_seq}`);
  if (ingest && ingest.event.index !== receipt.first_index) {
    book.failed("receipts.index_differs", { ...placeOf(receipt, receipt.first_seq), line: number });
  }
}

/** Step 8: the intervals in the case index follow from anchors and stamps in the ledger. */
function checkTimes(book, trust, ledger, index, journal) {
  if (!trust.checkpoint) {
    book.notChecked("time.no_checkpoint");
    return;
  }
  // Stamps by outside authorities are for the program.
  const stamps = ledger.ofKind("stamp").filter((event) => !Object.hasOwn(event.subject, "authority"));
  const anchors = provedAnchorsByLine(journal);
  const mark = book.mark;
  let count = 0;
  for (const { item, line, interval } of index.items) {
    const place = `${chainKey(line)}/${line.seq}`;
    const ingest = journal.ingests.get(place)?.event;
    const expected = ingest && intervalOf(stamps, ingest, anchors.get(place));
    if (ingest) count++;
    if (!sameInterval(interval, expected)) book.failed("time.interval_differs", { ...placeOf(line, line.seq), file: INDEX, item });
  }
  book.conclude(mark, "time.intervals", { count });
  book.notChecked("time.bureau_clock");
  if (index.items.some(({ interval }) => interval?.outside)) book.notChecked("web.outside_bounds");
}

/** For each line, by chain and seq, the newest checkpoint embedded up to there, if it is proved. */
function provedAnchorsByLine(journal) {
  const anchors = new Map();
  for (const [key, chain] of journal.chains) {
    let newest = null;
    for (const [seq, line] of chain.lines) {
      newest = line.anchor ?? newest;
      if (newest && journal.provedAnchors.has(`${newest.size}/${newest.root}`)) anchors.set(`${key}/${seq}`, newest);
    }
  }
  return anchors;
}

function intervalOf(stamps, ingest, anchor) {
  const before = anchor ? stamps.filter((stamp) => stamp.index < anchor.size).pop() : undefined;
  const after = stamps.find((stamp) => stamp.index > ingest.index) ?? ingest;
  return { after, before };
}

function sameInterval(told, expected) {
  if (!told || !expected) return !told && !expected;
  return told.not_after_ms === expected.after.at_ms && told.not_after_index === expected.after.index &&
    told.not_before_ms === expected.before?.at_ms && told.not_before_index === expected.before?.index;
}

/** Step 9: nobody judged a case that they investigated. */
function checkDuties(book, ledger, index, journal) {
  const listed = new Set(index.officers.map((one) => one.officer));
  const unlisted = openedBy(journal, index).filter((officer) => !listed.has(officer));
  for (const officer of unlisted) book.notChecked("duties.officer_unlisted", { file: INDEX, officer });
  const investigators = new Map(index.officers.map((officer) => [officer.person, officer.name]));
  const reviews = ledger.ofKind("review");
  const mark = book.mark;
  const nameless = reviews.filter((event) => typeof event.actor.person !== "string").length;
  for (const event of reviews) {
    const { person } = event.actor;
    if (!investigators.has(person)) continue;
    const item = String(event.subject.item ?? "");
    book.failed("duties.own_case", { file: CUSTODY, index: event.index, person: investigators.get(person), item });
  }
  if (!reviews.length) book.notChecked("duties.no_reviews");
  else if (nameless) book.notChecked("duties.nameless", { count: nameless });
  else if (!unlisted.length) book.conclude(mark, "duties.separate", { count: reviews.length });
}

/** The officers with whom the inspection was opened, by any line. */
function openedBy(journal, index) {
  const acts = [...journal.chains.values()].flatMap((chain) => chain.disclosed.map(({ act }) => act));
  const openings = acts.filter(({ type, inspection }) => type === "inspection.opened" && inspection === index.inspection.id);
  const officers = openings.flatMap((act) => listOf(act, "officers")).filter(KINDS.text);
  return [...new Set(officers)].sort();
}

/** Step 10: the signature beside the package; the rest is for the program. */
async function checkOutside(book, source, trust, sidecar) {
  const file = source.file.name + ".sig";
  book.notChecked("web.outside");
  if (!sidecar) {
    book.notChecked("outside.no_sidecar", { file });
    return;
  }
  try {
    const text = await openNote(fromUtf8(new Uint8Array(await sidecar.slice(0, 1 << 16).arrayBuffer())), trust.ledgerKeys);
    const expected = `liuhen/package-zip/v1\n${await source.whole()}\n${source.file.size}\n`;
    if (text === expected) book.passed("outside.sidecar", { file });
    else book.failed("outside.sidecar_other", { file });
  } catch (error) {
    book.failed("outside.sidecar_bad", { file, reason: reasonOf(error) });
  }
}
