// One inspection as its screens see it: what the journal says of it, and what watches beside it.
import { signal, type Signal } from "@preact/signals";
import { isObject, load, type Json, type JsonObject } from "../../evidence/canonical";
import type { Field, ItemView } from "../../engine/field";
import { PositionWatch } from "../../engine/position";
import { partsOf } from "../../engine/records";
import type { LineRow } from "../../engine/schema";
import { visits, type Visit } from "../../engine/visits";
import { ScreenLight } from "../../engine/wakelock";
import { followRecordings } from "../../recording";
import { refresh } from "../../state";
import { byId, text } from "../documents";

/** An act of the inspection with the time that this phone's clock showed. */
export interface Said {
  readonly act: JsonObject;
  readonly wallMs: number;
}

export interface Known {
  readonly info: Visit;
  readonly said: readonly Said[];
  readonly items: readonly ItemView[];
  /** Names by officer. */
  readonly names: ReadonlyMap<string, string>;
  /** Officers of the inspection who are logged in on this phone. */
  readonly present: readonly string[];
}

export class OpenVisit {
  /** Null until it was read; undefined where this phone does not know it. */
  readonly known: Signal<Known | null | undefined> = signal(null);
  /** Grows with each fix. */
  readonly beat = signal(0);
  readonly position: PositionWatch;
  private readonly light = new ScreenLight();

  constructor(
    readonly field: Field,
    readonly id: string,
    readonly go: (path: string) => void,
  ) {
    this.position = new PositionWatch((points) => this.say("position.track", { points }));
    this.position.onChange = () => this.stir();
  }

  begin(): void {
    this.position.start();
    this.light.on();
    followRecordings(this.field);
    document.addEventListener("visibilitychange", this.onHidden);
    void this.reload();
    this.field.recovered.then((count) => (count > 0 ? this.reload() : undefined)).catch(() => undefined);
  }

  /** A recording goes on: it belongs to the visit, not to the screen. */
  end(): void {
    document.removeEventListener("visibilitychange", this.onHidden);
    this.light.off();
    void this.position.stop();
  }

  async reload(): Promise<void> {
    const { field, id } = this;
    const [all, lines, items, officers, sessions] = await Promise.all([
      visits(field.database),
      field.lines(id),
      field.items(id),
      byId(field, "officer"),
      field.sessions(),
    ]);
    const info = all.find((one) => one.inspection === id);
    const here = new Set(sessions.map((one) => one.officer));
    this.known.value =
      info === undefined
        ? undefined
        : {
            info,
            items,
            said: lines.map(said),
            names: new Map(info.officers.map((one) => [one, text(officers.get(one), "name") || one.slice(0, 8)])),
            present: info.officers.filter((one) => here.has(one)),
          };
    void refresh(field);
  }

  /** Sign an act of this inspection in the name of who is logged in. */
  async say(type: string, members: JsonObject): Promise<void> {
    const officer = this.known.value?.present[0];
    if (officer === undefined) throw new Error("no officer is logged in");
    await this.field.act(type, { ...members, officer, inspection: this.id });
    await this.reload();
  }

  path(...more: readonly string[]): string {
    return ["/inspection", this.id, ...more.map(encodeURIComponent)].join("/");
  }

  private stir(): void {
    this.beat.value += 1;
  }

  private readonly onHidden = (): void => {
    if (document.visibilityState === "hidden") void this.position.flush();
  };
}

function said(row: LineRow): Said {
  const line = load(row.raw);
  const header: unknown = isObject(line) ? line["e"] : undefined;
  const t: unknown = isObject(header) ? header["t"] : undefined;
  const wall: unknown = isObject(t) ? t["wall_ms"] : 0;
  return { act: partsOf(row)[0] ?? {}, wallMs: Number(wall) };
}

export function acts(known: Known, type: string): Said[] {
  return known.said.filter((one) => one.act["type"] === type);
}

export function clock(ms: number): string {
  const time = { hour: "2-digit", minute: "2-digit", hour12: false } as const;
  return new Intl.DateTimeFormat("zh-CN", time).format(ms);
}

/** `2026-05-04T09:02` in Beijing time, as forms and pickers of dates write it. */
export function minuteOf(ms: number): string {
  return new Date(ms + 8 * 3_600_000).toISOString().slice(0, 16);
}

export function msOf(minute: string): number {
  return Date.parse(`${minute}:00+08:00`);
}

export function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}
