// The device's clocks, as a line states them: a claim, never an order.
import { randomHex } from "../evidence/bytes";
import type { DeviceTime } from "../evidence/line";

export interface Clock {
  read(): DeviceTime;
}

/** `mono_ms` counts from the page's start, so each start has a name of its own. */
export class BrowserClock implements Clock {
  private readonly boot = `web-${randomHex(8)}`;

  read(): DeviceTime {
    const now = new Date();
    return {
      wall_ms: now.getTime(),
      mono_ms: Math.max(0, Math.floor(performance.now())),
      boot: this.boot,
      // getTimezoneOffset() may be -0, which canonical JSON does not know.
      tz_min: 0 - now.getTimezoneOffset(),
    };
  }
}
