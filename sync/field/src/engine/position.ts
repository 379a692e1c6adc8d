// Where the device is: watched during a visit only, each fix with its own time and accuracy.
import type { JsonObject } from "../evidence/canonical";
import type { Position } from "./exif";

/** A fix as the system gave it; `ageMs` is how old it was when it came. */
export interface Fix extends Position {
  readonly ageMs: number;
}

export type PositionState = "waiting" | "known" | "denied" | "unavailable";

/** A track is sparse: a point each minute, or where the device has moved further than this. */
const POINT_MS = 60_000;
const POINT_METRES = 30;
const POINTS_AT_ONCE = 10;
const METRES_PER_DEGREE = 111_320;

export class PositionWatch {
  onChange: () => void = () => undefined;
  private latest: Fix | null = null;
  private status: PositionState = "waiting";
  private points: Fix[] = [];
  private lastPoint: Fix | null = null;
  private watch: number | null = null;

  /** `keep` signs a part of the track; what it could not keep is tried again with more. */
  constructor(private readonly keep: (points: readonly JsonObject[]) => Promise<unknown>) {}

  get state(): PositionState {
    return this.status;
  }

  get fix(): Fix | null {
    return this.latest;
  }

  start(): void {
    this.watch ??= navigator.geolocation.watchPosition(
      (position) => this.take(position),
      (error) => {
        this.status = error.code === error.PERMISSION_DENIED ? "denied" : "unavailable";
        this.onChange();
      },
      { enableHighAccuracy: true, maximumAge: 0, timeout: 60_000 },
    );
  }

  /** Stop watching and sign what is left of the track. */
  async stop(): Promise<void> {
    if (this.watch !== null) navigator.geolocation.clearWatch(this.watch);
    this.watch = null;
    await this.flush();
  }

  async flush(): Promise<void> {
    const { points } = this;
    if (points.length === 0) return;
    this.points = [];
    try {
      await this.keep(points.map(({ ageMs, ...position }) => ({ ...position, age_ms: ageMs })));
    } catch {
      this.points = [...points, ...this.points];
    }
  }

  private take({ coords, timestamp }: GeolocationPosition): void {
    this.latest = {
      lat: Math.round(coords.latitude * 1e7),
      lon: Math.round(coords.longitude * 1e7),
      acc: Math.min(2_000_000_000, Math.round(coords.accuracy * 100)),
      fix_ms: Math.round(timestamp),
      ageMs: Math.max(0, Math.round(Date.now() - timestamp)),
    };
    this.status = "known";
    if (isWorthAPoint(this.lastPoint, this.latest)) {
      this.lastPoint = this.latest;
      this.points.push(this.latest);
      if (this.points.length >= POINTS_AT_ONCE) void this.flush();
    }
    this.onChange();
  }
}

/** Whether `next` says something that the track does not say yet. */
export function isWorthAPoint(last: Position | null, next: Position): boolean {
  if (last === null || next.fix_ms - last.fix_ms >= POINT_MS) return true;
  const north = ((next.lat - last.lat) / 1e7) * METRES_PER_DEGREE;
  const shrink = Math.cos(((next.lat / 1e7) * Math.PI) / 180);
  const east = ((next.lon - last.lon) / 1e7) * METRES_PER_DEGREE * shrink;
  const moved = Math.hypot(north, east);
  // Two bad fixes differ by more than the device has moved.
  return moved > POINT_METRES && moved > (last.acc + next.acc) / 100;
}
