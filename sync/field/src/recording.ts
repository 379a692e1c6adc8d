// The recording that runs, for every screen: it goes on wherever the user goes.
import { signal } from "@preact/signals";
import type { Field } from "./engine/field";
import type { Running } from "./engine/recordings";

export interface RunningNow {
  readonly running: Running;
  /** How long it has run, in whole seconds. */
  readonly seconds: number;
}

export const runningNow = signal<RunningNow | null>(null);

/** Follow the recordings of `field`, by each slice that is kept. */
export function followRecordings(field: Field): void {
  field.recordings.onChange = () => {
    const { running } = field.recordings;
    const seconds = Math.max(0, Math.floor((Date.now() - (running?.row.startedAtMs ?? 0)) / 1000));
    runningNow.value = running && { running, seconds };
  };
}

/** `03:07`. */
export function lasting(seconds: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`;
}
