// When recordings may be sent, as the server says in `hello`: hours of the day in China, which
// keeps one time and no daylight saving (docs/protocol.md §4.2). Everything else always may.

const ZONE_MS = 8 * 3_600_000;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** From one `HH:MM` to another, over midnight if the second is earlier; 0 kbit/s: no bound. */
export interface SendWindow {
  readonly from: string;
  readonly to: string;
  readonly kbitS: number;
}

/** What the server asks for recordings. `offsetMs` is how far its clock is ahead of ours. */
export interface Rules {
  readonly windows: readonly SendWindow[];
  /** Whether its store has room for them. */
  readonly recordings: boolean;
  readonly offsetMs: number;
}

export type Allowance =
  | { readonly send: true; readonly kbitS: number }
  | { readonly send: false; readonly because: "store" | "hours" };

export function isRecording(mediaType: string): boolean {
  return mediaType.startsWith("audio/") || mediaType.startsWith("video/");
}

/** What `rules` allow for a file of this type when our clock shows `wallMs`. */
export function allowance(rules: Rules, mediaType: string, wallMs: number): Allowance {
  if (!isRecording(mediaType)) return { send: true, kbitS: 0 };
  if (!rules.recordings) return { send: false, because: "store" };
  if (rules.windows.length === 0) return { send: true, kbitS: 0 };
  const open = rules.windows.filter((one) => holds(one, wallMs + rules.offsetMs));
  if (open.length === 0) return { send: false, because: "hours" };
  // Of several the widest counts.
  const rates = open.map((one) => one.kbitS);
  return { send: true, kbitS: rates.includes(0) ? 0 : Math.max(...rates) };
}

function holds({ from, to }: SendWindow, atMs: number): boolean {
  const now = Math.floor(((atMs + ZONE_MS) % DAY_MS) / MINUTE_MS);
  const [begin, end] = [minutes(from), minutes(to)];
  return begin < end ? begin <= now && now < end : now >= begin || now < end;
}

function minutes(text: string): number {
  const [hours = 0, rest = 0] = text.split(":").map(Number);
  return hours * 60 + rest;
}
