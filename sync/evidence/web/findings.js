// Step 6, the findings: those that the ledger took in, all of them, and what they were read from.

const FACTS_PATH = /^data\/facts\/([0-9a-f]{64})\.json$/;

/** Every run of the rules is the one that the ledger took in, and none is left out. */
async function checkFindings(book, source, index, ledger) {
  let told;
  try {
    told = toldFindings(loadCanonical(await source.read(FINDINGS)));
  } catch (error) {
    book.failed("case.findings_unreadable", { file: FINDINGS, reason: reasonOf(error) });
    return;
  }
  if (!ledger.events.size) {
    book.notChecked("case.findings_untied", { file: FINDINGS });
    return;
  }
  const mark = book.mark, seen = new Set();
  for (const { item, sha256, row } of told) {
    seen.add(row.ledger_index);
    const event = ledger.events.get(row.ledger_index);
    const texts = ["claims", "findings", ...(Object.hasOwn(row, "context") ? ["context"] : [])];
    const isTold = event?.kind === "verify" && event.subject.item === item && event.subject.sha256 === sha256 &&
      event.subject.rules === row.rule_version && event.snapshot.verdict === row.verdict &&
      texts.every((name) => isDigestOf(event.snapshot[name], row[name]));
    if (!isTold) book.failed("case.findings_differ", { file: FINDINGS, item, index: row.ledger_index });
  }
  const kept = new Set(index.items.filter((item) => item.disposition !== "erased").map((item) => item.item));
  for (const { index: at, subject, snapshot } of ledger.ofKind("verify")) {
    if (kept.has(subject.item) && Object.hasOwn(snapshot, "findings") && !seen.has(at)) {
      book.failed("case.findings_left_out", { file: FINDINGS, item: subject.item, index: at });
    }
  }
  book.conclude(mark, "case.findings_tied", { count: told.length });
  await checkFacts(book, source, ledger);
  book.notChecked("case.findings_not_recomputed", { file: FINDINGS });
}

function isDigestOf(digest, text) {
  return typeof text === "string" && digest === sha256Hex(utf8(text));
}

/** What each reader read from a file is what the ledger took in. */
async function checkFacts(book, source, ledger) {
  for (const path of source.names) {
    const sha256 = FACTS_PATH.exec(path)?.[1];
    if (!sha256) continue;
    try {
      const { readings } = loadCanonical(await source.read(path));
      for (const reading of objects(readings)) {
        const event = ledger.events.get(reading.ledger_index);
        const wasRead = event?.kind === "verify" && event.subject.sha256 === sha256 &&
          event.subject.reader === reading.reader_version &&
          ["facts", "second"].every((name) => isDigestOf(event.snapshot[name], reading[name]));
        if (!wasRead) book.failed("case.facts_differ", { file: path, sha256 });
      }
    } catch (error) {
      book.failed("case.findings_unreadable", { file: path, reason: reasonOf(error) });
    }
  }
}

function objects(list) {
  return Array.isArray(list) && list.every(isObject) ? list : refuse("a list of objects");
}

function toldFindings(value) {
  return objects(value.items).flatMap(({ item, sha256, checks }) => {
    if (typeof item !== "string" || typeof sha256 !== "string") refuse("an item without its digest");
    return objects(checks).map((row) => {
      const texts = [row.claims, row.findings, row.rule_version, row.verdict];
      if (typeof row.ledger_index !== "number" || !texts.every(KINDS.text)) refuse("a run of another form");
      return { item, sha256, row };
    });
  });
}
