// All steps in order; each runs even after an earlier one failed.

/**
 * Verify a package, a File. ``keys`` are ledger keys from outside, ``sidecar`` is the file
 * ``X.zip.sig`` or null, ``progress`` is told how many bytes have been read.
 * Returns the claims; refuses what shows no trace of a ZIP.
 */
async function verifyPackage(file, { keys = [], sidecar = null, progress = () => {} } = {}) {
  const layout = (await readLayout(file)) ?? refuse("not a ZIP: " + file.name);
  const books = Object.fromEntries(STEPS.map((step) => [step, new Book(step)]));
  const source = new Source(file, layout);
  if (layout.foreign) {
    books.container.failed("container.foreign", { file: file.name });
    for (const step of STEPS.slice(1)) books[step].notChecked("web.foreign");
    return STEPS.flatMap((step) => books[step].claims);
  }
  const files = await source.measure(progress);
  checkContainer(books.container, source, files);
  await checkBag(books.bag, source, files);
  const trust = await checkTrust(books.trust, source, files, keys);
  let index = null, reason = "";
  try {
    index = parseIndex(await source.read(INDEX));
  } catch (error) {
    reason = reasonOf(error);
  }
  const ledger = await checkLedger(books.ledger, source, trust, index);
  const journal = await checkJournal(books.journal, source, trust, ledger, index);
  await checkReceipts(books.receipts, source, trust, journal);
  if (index) {
    await checkCase(books.case, source, files, index, journal, ledger);
    checkTimes(books.time, trust, ledger, index, journal);
    checkDuties(books.duties, ledger, index, journal);
  } else {
    books.case.failed("case.index_unreadable", { file: INDEX, reason });
    books.time.notChecked("time.no_index");
    books.duties.notChecked("duties.no_index");
  }
  await checkOutside(books.outside, source, trust, sidecar);
  return STEPS.flatMap((step) => books[step].claims);
}
