// EXIF that we write into our own camera's pictures before they are digested.
//
// It repeats what the signed line says, in the form that any viewer shows; it is never counted
// as a witness of its own (docs/evidence.md §6). Times with offset, position with its own time.
import { concat, utf8, type Bytes } from "../evidence/bytes";

/** Degrees in 1e-7 (WGS-84), accuracy in centimetres, `fix_ms` the time that the fix states. */
export interface Position {
  readonly lat: number;
  readonly lon: number;
  readonly acc: number;
  readonly fix_ms: number;
}

export interface PictureFacts {
  readonly software: string;
  readonly takenAtMs: number;
  readonly tzMin: number;
  /** The item's id, which becomes ImageUniqueID without its hyphens. */
  readonly item: string;
  readonly position?: Position | undefined;
}

interface Entry {
  readonly tag: number;
  readonly type: number;
  readonly count: number;
  readonly data: Bytes;
}

const BYTE = 1;
const ASCII = 2;
const LONG = 4;
const RATIONAL = 5;
const UNDEFINED = 7;
const EXIF_POINTER = 0x8769;
const GPS_POINTER = 0x8825;
const HEADER_BYTES = 8;

/** `jpeg` with an EXIF segment straight behind its first marker; other formats stay as they are. */
export function withExif(jpeg: Bytes, facts: PictureFacts): Bytes {
  if (jpeg[0] !== 0xff || jpeg[1] !== 0xd8) return jpeg;
  const body = concat(utf8("Exif\0\0"), tiff(facts));
  const segment = concat(Uint8Array.of(0xff, 0xe1), word(body.length + 2), body);
  return concat(jpeg.subarray(0, 2), segment, jpeg.subarray(2));
}

function tiff(facts: PictureFacts): Bytes {
  const exif = exifEntries(facts);
  const gps = facts.position === undefined ? [] : gpsEntries(facts.position);
  const main = (exifAt: number, gpsAt: number): Entry[] => [
    ascii(0x0131, facts.software),
    long(EXIF_POINTER, exifAt),
    ...(gps.length > 0 ? [long(GPS_POINTER, gpsAt)] : []),
  ];
  // Where a directory lies depends on the sizes before it, and not on what its pointers say.
  const exifAt = HEADER_BYTES + directory(main(0, 0), HEADER_BYTES).length;
  const exifBytes = directory(exif, exifAt);
  const gpsAt = exifAt + exifBytes.length;
  return concat(
    utf8("MM"),
    word(42),
    double(HEADER_BYTES),
    directory(main(exifAt, gpsAt), HEADER_BYTES),
    exifBytes,
    gps.length > 0 ? directory(gps, gpsAt) : new Uint8Array(),
  );
}

function exifEntries(facts: PictureFacts): Entry[] {
  const local = new Date(facts.takenAtMs + facts.tzMin * 60_000).toISOString();
  const taken = `${local.slice(0, 10).replace(/-/g, ":")} ${local.slice(11, 19)}`;
  const zone = zoneText(facts.tzMin);
  return [
    { tag: 0x9000, type: UNDEFINED, count: 4, data: utf8("0232") },
    ascii(0x9003, taken),
    ascii(0x9004, taken),
    ascii(0x9010, zone),
    ascii(0x9011, zone),
    ascii(0x9012, zone),
    ascii(0x9291, local.slice(20, 23)),
    ascii(0xa420, facts.item.replace(/-/g, "")),
  ];
}

function gpsEntries({ lat, lon, acc, fix_ms }: Position): Entry[] {
  const fix = new Date(fix_ms).toISOString();
  const seconds = Number(fix.slice(17, 19)) * 1000 + Number(fix.slice(20, 23));
  return [
    { tag: 0x00, type: BYTE, count: 4, data: Uint8Array.of(2, 3, 0, 0) },
    ascii(0x01, lat < 0 ? "S" : "N"),
    rationals(0x02, angle(lat)),
    ascii(0x03, lon < 0 ? "W" : "E"),
    rationals(0x04, angle(lon)),
    rationals(0x07, [
      [Number(fix.slice(11, 13)), 1],
      [Number(fix.slice(14, 16)), 1],
      [seconds, 1000],
    ]),
    ascii(0x12, "WGS-84"),
    ascii(0x1d, fix.slice(0, 10).replace(/-/g, ":")),
    rationals(0x1f, [[acc, 100]]),
  ];
}

/** Degrees, minutes and seconds (in 1e-7) of an angle in 1e-7 degrees, without a loss. */
function angle(e7: number): [number, number][] {
  const whole = Math.abs(e7);
  const degrees = Math.floor(whole / 1e7);
  const minutes = Math.floor(((whole % 1e7) * 60) / 1e7);
  const seconds = whole * 3600 - degrees * 3.6e10 - minutes * 6e8;
  return [
    [degrees, 1],
    [minutes, 1],
    [seconds, 1e7],
  ];
}

function zoneText(minutes: number): string {
  const whole = Math.abs(minutes);
  const digits = (value: number) => String(value).padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${digits(Math.floor(whole / 60))}:${digits(whole % 60)}`;
}

/** One directory that begins at `start`, followed by what its entries do not hold themselves. */
function directory(entries: readonly Entry[], start: number): Bytes {
  const rows: Bytes[] = [word(entries.length)];
  const behind: Bytes[] = [];
  let place = start + 2 + 12 * entries.length + 4;
  for (const { tag, type, count, data } of entries) {
    const even = concat(data, new Uint8Array(data.length % 2));
    const value = data.length <= 4 ? concat(data, new Uint8Array(4 - data.length)) : double(place);
    rows.push(word(tag), word(type), double(count), value);
    if (data.length > 4) {
      behind.push(even);
      place += even.length;
    }
  }
  return concat(...rows, double(0), ...behind);
}

function ascii(tag: number, text: string): Entry {
  const data = utf8(`${text}\0`);
  return { tag, type: ASCII, count: data.length, data };
}

function long(tag: number, value: number): Entry {
  return { tag, type: LONG, count: 1, data: double(value) };
}

function rationals(tag: number, values: readonly (readonly [number, number])[]): Entry {
  const data = concat(...values.flatMap(([above, below]) => [double(above), double(below)]));
  return { tag, type: RATIONAL, count: values.length, data };
}

function word(value: number): Bytes {
  return Uint8Array.of((value >> 8) & 0xff, value & 0xff);
}

function double(value: number): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
