// The one ZIP that a package can be: every header is written again and compared (docs/evidence.md §8).

const MAX_16 = 0xffff, MAX_32 = 0xffffffff;
const MAX_ENTRIES = 2000000, MAX_NAME = 200;
const ZIP_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*(?:\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/;
/** What Windows would open as a device, or unpack under another name. */
const ZIP_UNSAFE = /(?:^|\/)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:[./]|$)|\.(?:\/|$)/i;
const WINDOW = 1 << 18;

function isName(name) {
  return name.length <= MAX_NAME && ZIP_NAME.test(name) && !ZIP_UNSAFE.test(name);
}

/** Writes fields of 2, 4 and 8 bytes, little-endian: ``[bytes, value]`` each. */
function packed(fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [bytes]) => sum + bytes, 0)));
  let place = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 2) view.setUint16(place, value, true);
    else if (bytes === 4) view.setUint32(place, value, true);
    else view.setBigUint64(place, BigInt(value), true);
    place += bytes;
  }
  return new Uint8Array(view.buffer);
}

// 1980-01-01 00:00, the first moment that the format can say.
const TIME_AND_DATE = [[2, 0], [2, 0x0021]];

function localLength(member) {
  return 30 + member.name.length + (member.size >= MAX_32 ? 20 : 0);
}

function localHeader({ name, size, crc }) {
  const large = size >= MAX_32;
  const shown = large ? MAX_32 : size;
  return concat(
    packed([[4, 0x04034b50], [2, large ? 45 : 20], [2, 0], [2, 0], ...TIME_AND_DATE, [4, crc],
      [4, shown], [4, shown], [2, name.length], [2, large ? 20 : 0]]),
    utf8(name),
    large ? packed([[2, 1], [2, 16], [8, size], [8, size]]) : new Uint8Array(),
  );
}

function centralHeader({ name, size, crc }, offset) {
  const large = [...(size >= MAX_32 ? [size, size] : []), ...(offset >= MAX_32 ? [offset] : [])];
  const version = large.length ? 45 : 20;
  const extra = large.length ? packed([[2, 1], [2, 8 * large.length], ...large.map((n) => [8, n])]) : new Uint8Array();
  const shown = Math.min(size, MAX_32);
  return concat(
    packed([[4, 0x02014b50], [2, (3 << 8) | version], [2, version], [2, 0], [2, 0], ...TIME_AND_DATE, [4, crc],
      [4, shown], [4, shown], [2, name.length], [2, extra.length], [2, 0], [2, 0], [2, 0],
      [4, (0o100644 << 16) >>> 0], [4, Math.min(offset, MAX_32)]]),
    utf8(name),
    extra,
  );
}

function endRecords({ count, size, start }) {
  const is64 = count >= MAX_16 || size >= MAX_32 || start >= MAX_32;
  const records = is64
    ? packed([[4, 0x06064b50], [8, 44], [2, (3 << 8) | 45], [2, 45], [4, 0], [4, 0], [8, count], [8, count],
        [8, size], [8, start], [4, 0x07064b50], [4, 0], [8, start + size], [4, 1]])
    : new Uint8Array();
  const shown = Math.min(count, MAX_16);
  return concat(records, packed([[4, 0x06054b50], [2, 0], [2, 0], [2, shown], [2, shown],
    [4, Math.min(size, MAX_32)], [4, Math.min(start, MAX_32)], [2, 0]]));
}

function offsetsOf(members) {
  const places = [0];
  for (const member of members) places.push(places[places.length - 1] + localLength(member) + member.size);
  return places;
}

/** Reads a Blob in windows, since one read of it for each small header would take too long. */
class WindowedReader {
  constructor(blob, width = WINDOW) {
    this.blob = blob;
    this.width = width;
    this.size = blob.size;
    this.start = 0;
    this.window = new Uint8Array();
  }

  /** The bytes at ``place``, fewer at the end; none where a hostile header points beyond it. */
  async at(place, length) {
    const end = Math.min(place + length, this.size);
    if (place >= end) return new Uint8Array();
    if (place < this.start || end > this.start + this.window.length) {
      const last = Math.min(this.size, Math.max(end, place + this.width));
      this.window = new Uint8Array(await this.blob.slice(place, last).arrayBuffer());
      this.start = place;
    }
    return this.window.subarray(place - this.start, end - this.start);
  }
}

/** Members, where each one's bytes start, faults, and whether another tool wrote it; null for no ZIP. */
async function readLayout(blob) {
  const reader = new WindowedReader(blob);
  const listed = await membersFromCentral(reader);
  const faults = listed.length ? await faultsOf(reader, listed) : [];
  if (listed.length && !faults.length) return layoutOf(listed, faults);
  const scanned = await membersFromLocals(reader);
  const judged = listed.length ? [{ members: listed, faults }] : [];
  if (scanned.length) judged.push({ members: scanned, faults: await faultsOf(reader, scanned) });
  if (!judged.length) return null;
  // The explanation of more headers wins; the directory's where both explain as many.
  judged.sort((left, right) => explained(right) - explained(left));
  const [best, ...others] = judged;
  const named = [...best.faults];
  for (const other of others.filter((one) => explained(one) === explained(best))) {
    const isNew = (fault) => !named.some((one) => one.name === fault.name && one.part === fault.part);
    named.push(...other.faults.filter(isNew));
  }
  const locals = best.faults.filter((fault) => fault.part === "local").length;
  return layoutOf(best.members, named, 2 * locals > best.members.length);
}

function layoutOf(members, faults, foreign = false) {
  const places = offsetsOf(members);
  return { members, faults, foreign, starts: members.map((member, at) => places[at] + localLength(member)) };
}

function explained({ members, faults }) {
  return 2 * members.length - faults.filter((fault) => ["local", "central"].includes(fault.part)).length;
}

async function faultsOf(reader, members) {
  const faults = [];
  const seen = new Map();
  let before = "";
  for (const { name } of members) {
    if (!isName(name)) faults.push({ name, part: "name" });
    else if (name <= before) faults.push({ name, part: "order" });
    before = name;
    // One would overwrite the other where case does not count.
    const folded = name.toLowerCase();
    if ((seen.get(folded) ?? name) !== name) faults.push({ name, part: "name" });
    else seen.set(folded, name);
  }
  const places = offsetsOf(members);
  for (const [number, member] of members.entries()) {
    const header = localHeader(member);
    if (!same(await reader.at(places[number], header.length), header)) faults.push({ name: member.name, part: "local" });
  }
  const start = places[places.length - 1];
  let place = start;
  for (const [number, member] of members.entries()) {
    const header = centralHeader(member, places[number]);
    if (!same(await reader.at(place, header.length), header)) faults.push({ name: member.name, part: "central" });
    place += header.length;
  }
  const end = endRecords({ count: members.length, size: place - start, start });
  if (!same(await reader.at(place, end.length), end)) faults.push({ name: "", part: "end" });
  if (place + end.length !== reader.size) faults.push({ name: "", part: "length" });
  return faults;
}

const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The entries as their own headers tell, from the first on. */
async function membersFromLocals(reader) {
  const members = [];
  let place = 0;
  while (place < reader.size && members.length < MAX_ENTRIES) {
    const head = await reader.at(place, 30);
    if (head.length < 30 || viewOf(head).getUint32(0, true) !== 0x04034b50) break;
    const view = viewOf(head);
    const nameLength = view.getUint16(26, true), extraLength = view.getUint16(28, true);
    let length = view.getUint32(22, true);
    const tail = await reader.at(place + 30, nameLength + extraLength);
    const extra = tail.subarray(nameLength);
    if (length === MAX_32 && extra.length >= 20) length = Number(viewOf(extra).getBigUint64(4, true));
    if (place + length > reader.size) break;
    members.push(memberOf(tail.subarray(0, nameLength), length, view.getUint32(14, true)));
    place += 30 + nameLength + extraLength + length;
  }
  return members;
}

/** The entries as the central directory tells, found through the end record. */
async function membersFromCentral(reader) {
  const members = [];
  let place = await directoryStart(reader), total = 0;
  while (place !== null && members.length < MAX_ENTRIES) {
    const head = await reader.at(place, 46);
    if (head.length < 46 || viewOf(head).getUint32(0, true) !== 0x02014b50) break;
    const view = viewOf(head);
    const nameLength = view.getUint16(28, true), extraLength = view.getUint16(30, true);
    const tail = await reader.at(place + 46, nameLength + extraLength);
    const extra = tail.subarray(nameLength);
    let length = view.getUint32(24, true);
    if (length === MAX_32 && extra.length >= 12) length = Number(viewOf(extra).getBigUint64(4, true));
    total += length;
    if (total > 2 ** 50) break;
    members.push(memberOf(tail.subarray(0, nameLength), length, view.getUint32(16, true)));
    place += 46 + nameLength + extraLength + view.getUint16(32, true);
  }
  return members;
}

async function directoryStart(reader) {
  const from = Math.max(0, reader.size - 22 - MAX_16);
  const tail = await reader.at(from, reader.size - from);
  const view = viewOf(tail);
  for (let place = tail.length - 22; place >= 0; place--) {
    if (view.getUint32(place, true) !== 0x06054b50) continue;
    let start = view.getUint32(place + 16, true);
    if (start === MAX_32 && place >= 20 && view.getUint32(place - 20, true) === 0x07064b50) {
      const end64 = await reader.at(Number(view.getBigUint64(place - 12, true)), 56);
      if (end64.length === 56) start = Number(viewOf(end64).getBigUint64(48, true));
    }
    return start < reader.size ? start : null;
  }
  return null;
}

function memberOf(nameBytes, size, crc) {
  // Foreign bytes are spelled out, so that the header written again differs.
  const spell = (byte) => (byte < 0x80 ? String.fromCharCode(byte) : "\\x" + HEX[byte]);
  return { name: Array.from(nameBytes, spell).join("").slice(0, MAX_16), size, crc };
}
