// Canonical JSON: the restricted profile of RFC 8785 (docs/protocol.md §4.1).

const MAX_DEPTH = 32;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** The value of ``bytes``, which must be canonical to the last byte. */
function loadCanonical(bytes) {
  const text = fromUtf8(bytes);
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse("not JSON in UTF-8");
  }
  checkProfile(value, 0);
  // Encoding again refuses foreign spellings, doubled keys, and all that JSON.parse mends.
  if (encodeCanonical(value) !== text) refuse("not the canonical encoding");
  return value;
}

function encodeCanonical(value) {
  if (Array.isArray(value)) return "[" + value.map(encodeCanonical).join(",") + "]";
  if (value !== null && typeof value === "object") {
    const members = Object.keys(value).sort();
    return "{" + members.map((key) => JSON.stringify(key) + ":" + encodeCanonical(value[key])).join(",") + "}";
  }
  return JSON.stringify(value);
}

function checkProfile(value, depth) {
  switch (typeof value) {
    case "string":
      if (LONE_SURROGATE.test(value)) refuse("a lone surrogate");
      return;
    case "number":
      if (!Number.isSafeInteger(value)) refuse("a number with a fraction, or beyond 2^53");
      return;
    case "boolean":
      return;
  }
  if (value === null) refuse("null");
  if (depth >= MAX_DEPTH) refuse(`nested deeper than ${MAX_DEPTH}`);
  for (const key of Object.keys(value)) {
    if (/[^\x00-\x7f]/.test(key)) refuse("a key outside ASCII");
    checkProfile(value[key], depth + 1);
  }
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

const KINDS = {
  text: (value) => typeof value === "string",
  whole: (value) => typeof value === "number",
  list: Array.isArray,
  object: isObject,
};

/** ``value`` if it is an object of exactly these fields of these kinds. */
function exactly(value, kinds) {
  const names = Object.keys(kinds);
  const given = isObject(value) ? Object.keys(value) : [];
  if (given.length !== names.length || !names.every((name) => Object.hasOwn(value, name) && KINDS[kinds[name]](value[name]))) {
    refuse("exactly the fields " + names.sort().join(", "));
  }
  return value;
}

function natural(value) {
  return value >= 0 ? value : refuse("a whole number from 0");
}

function digestText(value) {
  fromHex(value, 32);
  return value;
}
