// New versions of the app: downloaded at once, taken over only when the user has no visit open.
import { signal } from "@preact/signals";

/** The worker of a newer version that waits to take over. */
export const waiting = signal<ServiceWorker | null>(null);

export function registerWorker(): void {
  if (!("serviceWorker" in navigator)) return;
  void navigator.serviceWorker
    .register(`${import.meta.env.BASE_URL}sw.js`, { scope: import.meta.env.BASE_URL })
    .then(watch, () => undefined);
}

function watch(registration: ServiceWorkerRegistration): void {
  const note = (worker: ServiceWorker | null): void => {
    // The first version of all takes over by itself: there is nothing it could interrupt.
    if (worker !== null && navigator.serviceWorker.controller !== null) waiting.value = worker;
  };
  note(registration.waiting);
  registration.addEventListener("updatefound", () => {
    const coming = registration.installing;
    coming?.addEventListener("statechange", () => {
      if (coming.state === "installed") note(coming);
    });
  });
}

/** Let the waiting version take over; the caller has made sure that no visit is open. */
export function takeOver(): void {
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), {
    once: true,
  });
  waiting.value?.postMessage("take-over");
}
