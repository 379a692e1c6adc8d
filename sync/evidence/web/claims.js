// What is said: numbered steps, each with claims that hold, fail or were not checked.

const STEPS = ["container", "bag", "trust", "ledger", "journal", "case", "receipts", "time", "duties", "outside"];
const PASS = "PASS", FAIL = "FAIL", NOT_CHECKED = "NOT CHECKED";

/** Collects the claims of one step. */
class Book {
  constructor(step) {
    this.step = step;
    this.claims = [];
  }

  passed(code, values = {}) {
    this.add(code, PASS, values);
  }

  failed(code, values = {}) {
    this.add(code, FAIL, values);
  }

  notChecked(code, values = {}) {
    this.add(code, NOT_CHECKED, values);
  }

  get mark() {
    return this.claims.length;
  }

  /** Pass ``code`` if nothing failed since the book held ``before`` claims. */
  conclude(before, code, values = {}) {
    if (!this.claims.slice(before).some((claim) => claim.verdict === FAIL)) this.passed(code, values);
  }

  add(code, verdict, values) {
    this.claims.push({ step: this.step, code, verdict, values });
  }
}

/** FAIL if any claim fails, else PASS; the claims say what was not checked. */
function verdictOf(claims) {
  return claims.some((claim) => claim.verdict === FAIL) ? FAIL : PASS;
}
