// What people see: a place to drop the package, and the answer in big letters.

const SHOWN = 200;
const LONGEST = 1000;
/** Letters that would turn the others round, or show nothing. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
const MARKS = { [PASS]: "pass", [FAIL]: "fail", [NOT_CHECKED]: "not_checked" };
const view = { lang: "zh", answer: null };

const byId = (id) => document.getElementById(id);

function say(key, values = {}) {
  const text = TEXTS["verify." + key]?.[view.lang] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => shown(String(values[name] ?? "")));
}

/** ``value``, which may be anything that a package holds, with hidden letters spelled out. */
function shown(value) {
  const line = value.split(/\s+/u).filter(Boolean).join(" ").slice(0, LONGEST);
  return line.replace(HIDDEN, (letter) => `〔U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}〕`);
}

function element(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

function showTexts() {
  document.documentElement.lang = view.lang === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-say]")) node.textContent = say(node.dataset.say);
  byId("key").placeholder = say("web.key_hint");
  if (view.answer) showAnswer();
}

function showAnswer() {
  const { claims, name, unusable } = view.answer;
  const result = byId("result");
  result.hidden = false;
  result.replaceChildren();
  if (unusable !== undefined) {
    result.append(element("p", say("cli.not_checked"), "verdict not_checked"));
    result.append(element("p", say("cli.unusable", { reason: unusable })));
    return;
  }
  const count = (verdict) => claims.filter((claim) => claim.verdict === verdict).length;
  const counts = { passed: count(PASS), failed: count(FAIL), unchecked: count(NOT_CHECKED) };
  const failed = verdictOf(claims) === FAIL;
  result.append(element("h2", say("cli.title", { package: name })));
  result.append(element("p", say(failed ? "cli.fail" : "cli.pass"), "verdict " + (failed ? "fail" : "pass")));
  result.append(element("p", say(failed ? "cli.verdict_fail" : "cli.verdict_pass", counts)));
  result.append(element("p", say(failed ? "cli.limits_fail" : "cli.limits")));
  let failuresShown = 0;
  STEPS.forEach((step, place) => {
    result.append(element("h3", say("cli.step", { number: place + 1, title: say("step." + step) })));
    const list = document.createElement("ul");
    for (const claim of claims.filter((one) => one.step === step)) {
      if (claim.verdict === FAIL && ++failuresShown > SHOWN) continue;
      list.append(claimRow(claim));
    }
    result.append(list);
  });
  if (failuresShown > SHOWN) result.append(element("p", say("web.more", { count: failuresShown - SHOWN })));
}

function claimRow(claim) {
  const row = element("li", "", MARKS[claim.verdict]);
  row.dataset.code = claim.code;
  row.dataset.step = claim.step;
  row.append(element("b", say("cli." + MARKS[claim.verdict])), element("span", say(claim.code, claim.values)));
  return row;
}

async function start(files) {
  const zips = [...files].filter((file) => !file.name.endsWith(".sig"));
  if (zips.length !== 1) return;
  const [file] = zips;
  const sidecar = [...files].find((one) => one.name === file.name + ".sig") ?? null;
  const bar = byId("progress");
  byId("result").hidden = true;
  bar.hidden = false;
  bar.value = 0;
  try {
    const rows = byId("key").value.split("\n").filter((row) => row.trim());
    const keys = rows.map(parseVerifierKey);
    const progress = (done) => (bar.value = file.size ? done / file.size : 1);
    const claims = await verifyPackage(file, { keys, sidecar, progress });
    view.answer = { name: file.name, claims };
  } catch (error) {
    view.answer = { name: file.name, unusable: error instanceof Refused ? error.message : `${error.name}: ${error.message}` };
  }
  bar.hidden = true;
  showAnswer();
  document.body.dataset.done = String(Number(document.body.dataset.done ?? 0) + 1);
}

function prepare() {
  byId("file").addEventListener("change", async (event) => {
    await start([...event.target.files]);
    event.target.value = ""; // so that the same file can be chosen again
  });
  for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
  document.addEventListener("drop", (event) => start(event.dataTransfer.files));
  byId("lang").addEventListener("click", () => {
    view.lang = view.lang === "zh" ? "en" : "zh";
    showTexts();
  });
  if (!globalThis.crypto?.subtle) view.answer = { name: "", unusable: "WebCrypto" };
  showTexts();
}

prepare();
