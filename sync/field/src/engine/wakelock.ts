// Keeps the screen on during a visit; the system takes that back whenever the page is hidden.

export class ScreenLight {
  private wanted = false;
  private lock: WakeLockSentinel | null = null;
  private readonly onVisible = (): void => {
    if (document.visibilityState === "visible") void this.acquire();
  };

  on(): void {
    if (this.wanted) return;
    this.wanted = true;
    document.addEventListener("visibilitychange", this.onVisible);
    void this.acquire();
  }

  off(): void {
    this.wanted = false;
    document.removeEventListener("visibilitychange", this.onVisible);
    void this.lock?.release();
    this.lock = null;
  }

  private async acquire(): Promise<void> {
    if (!("wakeLock" in navigator) || !this.wanted) return;
    try {
      this.lock = await navigator.wakeLock.request("screen");
    } catch {
      // A battery that runs low refuses it; the visit goes on with a screen that goes dark.
    }
  }
}
