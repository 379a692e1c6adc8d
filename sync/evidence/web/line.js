// One journal line as a package carries it (docs/protocol.md §4.1).

const GENESIS = "0".repeat(64);
const LINE_VERSION = "1.p256.sha256";
const PAYLOAD_TYPE = "application/vnd.liuhen.journal+json";
const DIGEST = /^[0-9a-f]{64}$/;
const HEADER_NAMES = ["device", "epoch", "parts", "prev", "seq", "t", "v"];

/** Parse one line; ``act`` is null where it is withheld. */
function parseLine(bytes) {
  const value = loadCanonical(bytes);
  if (!isObject(value) || !isObject(value.b)) refuse("b: must map part numbers to parts");
  if (!hasNames(value, ["b", "e", "k", "s"])) refuse("line: exactly b, e, k and s");
  if (typeof value.k !== "string" || !DIGEST.test(value.k)) refuse("k: a SHA-256 in lowercase hex");
  const header = checkHeader(value.e);
  const signature = fromBase64url(value.s);
  if (signature.length !== 64 || !isInRange(signature)) refuse("s: r and s in range, s in the lower half");
  for (const [number, part] of Object.entries(value.b)) checkPart(number, part, header.parts);
  const headerText = encodeCanonical(header);
  return {
    ...header,
    keyId: value.k,
    signature,
    signed: preAuthenticationEncoding(utf8(headerText)),
    digest: sha256Hex(utf8(`{"e":${headerText},"k":"${value.k}","s":"${value.s}"}`)),
    act: value.b["0"] ?? null,
  };
}

/** The DSSE PAE of a header: binds the signature to its type. */
function preAuthenticationEncoding(header) {
  return concat(utf8(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${header.length} `), header);
}

function hasNames(value, names) {
  return isObject(value) && Object.keys(value).sort().join() === names.join();
}

function checkHeader(e) {
  const names = isObject(e) && Object.hasOwn(e, "anchor") ? ["anchor", ...HEADER_NAMES] : HEADER_NAMES;
  if (!hasNames(e, names)) refuse("e: exactly the header's fields");
  if (e.v !== LINE_VERSION) refuse("v: an unknown version");
  checkForm(e, "device", /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
  checkForm(e, "epoch", /^[0-9a-f]{32}$/);
  checkForm(e, "prev", DIGEST);
  checkWhole(e, "seq");
  if (!Array.isArray(e.parts) || e.parts.length < 1 || e.parts.length > 64) refuse("parts: between 1 and 64 digests");
  if (!e.parts.every((part) => typeof part === "string" && DIGEST.test(part))) refuse("parts: SHA-256 digests");
  if (!hasNames(e.t, ["boot", "mono_ms", "tz_min", "wall_ms"])) refuse("t: exactly wall_ms, mono_ms, boot and tz_min");
  if (typeof e.t.wall_ms !== "number" || typeof e.t.tz_min !== "number") refuse("t: integers");
  checkWhole(e.t, "mono_ms");
  checkForm(e.t, "boot", /^[!-~]{1,64}$/);
  if (names.length > HEADER_NAMES.length) checkAnchor(e.anchor);
  return e;
}

function checkAnchor(anchor) {
  if (!hasNames(anchor, ["origin", "root", "size"])) refuse("anchor: exactly origin, size and root");
  if (typeof anchor.origin !== "string" || !anchor.origin || [...anchor.origin].length > 255) refuse("anchor.origin: a name");
  checkWhole(anchor, "size");
  checkForm(anchor, "root", DIGEST);
}

function checkPart(number, part, digests) {
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(number)) refuse("b: part numbers are plain integers");
  if (Number(number) >= digests.length) refuse("parts: as many digests as parts");
  if (!isObject(part)) refuse("b: each part is an object");
  fromHex(part.salt ?? "", 16);
  if (number === "0" && !(typeof part.type === "string" && part.type && [...part.type].length <= 64)) {
    refuse("b: the act has a type");
  }
  if (sha256Hex(utf8(encodeCanonical(part))) !== digests[Number(number)]) refuse(`part ${number} has another digest`);
}

function checkForm(value, name, form) {
  if (typeof value[name] !== "string" || !form.test(value[name])) refuse(`${name}: not of the required form`);
}

function checkWhole(value, name) {
  if (typeof value[name] !== "number" || value[name] < 0) refuse(`${name}: a whole number from 0`);
}
