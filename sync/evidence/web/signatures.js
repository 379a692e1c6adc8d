// Signatures: P-256 by WebCrypto, Ed25519 by WebCrypto where it has it, else by ourselves.

const SPKI_PREFIX = "3059301306072a8648ce3d020106082a8648ce3d03010703420004";
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** A P-256 key from its one SPKI encoding. */
async function p256Key(spki) {
  if (spki.length !== 91 || toHex(spki.subarray(0, 27)) !== SPKI_PREFIX) {
    refuse("not the SPKI of an uncompressed P-256 key");
  }
  try {
    return await crypto.subtle.importKey("spki", spki, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
  } catch {
    return refuse("a point that is not on P-256");
  }
}

function p256Verify(key, message, signature) {
  return crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, message);
}

/** Only the low of the two equivalent S values, so that nobody can respell a line. */
function isInRange(signature) {
  const r = toInteger(signature.subarray(0, 32)), s = toInteger(signature.subarray(32));
  return 0n < r && r < P256_ORDER && 0n < s && s <= P256_ORDER / 2n;
}

const ED_P = 2n ** 255n - 19n;
const ED_L = 2n ** 252n + 27742317777372353535851937790883648493n;
const edMod = (value) => ((value % ED_P) + ED_P) % ED_P;
const edPower = (base, exponent) => {
  let result = 1n;
  for (base = edMod(base); exponent; exponent >>= 1n, base = (base * base) % ED_P) {
    if (exponent & 1n) result = (result * base) % ED_P;
  }
  return result;
};
const ED_D = edMod(-121665n * edPower(121666n, ED_P - 2n));
const ED_ROOT = edPower(2n, (ED_P - 1n) / 4n);
const ED_IDENTITY = [0n, 1n, 1n, 0n];

/** A point X, Y, Z, T of RFC 8032 from its canonical encoding; null if it is none. */
function edDecode(bytes) {
  if (bytes.length !== 32) return null;
  const encoded = toInteger(bytes, true);
  const sign = encoded >> 255n, y = encoded & (2n ** 255n - 1n);
  if (y >= ED_P) return null;
  const squared = edMod((y * y - 1n) * edPower(ED_D * y * y + 1n, ED_P - 2n));
  if (!squared) return sign ? null : [0n, y, 1n, 0n];
  let x = edPower(squared, (ED_P + 3n) / 8n);
  if (edMod(x * x - squared)) x = (x * ED_ROOT) % ED_P;
  if (edMod(x * x - squared)) return null;
  if ((x & 1n) !== sign) x = ED_P - x;
  return [x, y, 1n, (x * y) % ED_P];
}

function edAdd(left, right) {
  const a = edMod((left[1] - left[0]) * (right[1] - right[0]));
  const b = edMod((left[1] + left[0]) * (right[1] + right[0]));
  const c = edMod(2n * left[3] * right[3] * ED_D), d = edMod(2n * left[2] * right[2]);
  const e = b - a, f = d - c, g = d + c, h = b + a;
  return [edMod(e * f), edMod(g * h), edMod(f * g), edMod(e * h)];
}

function edEqual(left, right) {
  return !edMod(left[0] * right[2] - right[0] * left[2]) && !edMod(left[1] * right[2] - right[1] * left[2]);
}

/** A usable key: canonical, on the curve, and not of small order, under which anyone could sign. */
function edPoint(key) {
  const point = edDecode(key);
  if (point === null) refuse("not an Ed25519 public key");
  let multiple = point;
  for (let times = 0; times < 3; times++) multiple = edAdd(multiple, multiple);
  if (edEqual(multiple, ED_IDENTITY)) refuse("an Ed25519 key of small order");
  return point;
}

async function ed25519Verify(key, message, signature) {
  const point = edPoint(key);
  if (signature.length !== 64) return false;
  const commitment = edDecode(signature.subarray(0, 32));
  const s = toInteger(signature.subarray(32), true);
  if (commitment === null || s >= ED_L) return false;
  const builtIn = await builtInEd25519(key);
  if (builtIn) return crypto.subtle.verify("Ed25519", builtIn, signature, message);
  return edVerifyOurselves(point, commitment, s, concat(signature.subarray(0, 32), key, message));
}

async function builtInEd25519(key) {
  try {
    return await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
  } catch {
    return null;
  }
}

async function edVerifyOurselves(point, commitment, s, challenged) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-512", challenged));
  const k = toInteger(digest, true) % ED_L;
  const negated = [ED_P - point[0], point[1], point[2], ED_P - point[3]];
  const base = edDecode(fromHex("58" + "66".repeat(31), 32));
  const table = [ED_IDENTITY, base, negated, edAdd(base, negated)];
  // S·B − k·A = R, in one pass over both scalars.
  let sum = ED_IDENTITY;
  for (let bit = 253n; bit >= 0n; bit--) {
    sum = edAdd(sum, sum);
    const choice = Number(((s >> bit) & 1n) | (((k >> bit) & 1n) << 1n));
    if (choice) sum = edAdd(sum, table[choice]);
  }
  return edEqual(sum, commitment);
}
