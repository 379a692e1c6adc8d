// What a browser must be able to do before it may be trusted with evidence.

/** Names of what this browser lacks; empty where it can be trusted. */
export function missingAbilities(): string[] {
  const present: readonly (readonly [string, boolean])[] = [
    ["HTTPS", globalThis.isSecureContext],
    ["service worker", "serviceWorker" in navigator],
    ["IndexedDB", "indexedDB" in globalThis],
    ["Web Locks", "locks" in navigator],
    ["WebCrypto", globalThis.crypto?.subtle !== undefined],
    ["StorageManager", "storage" in navigator && "persist" in navigator.storage],
    ["OPFS", "storage" in navigator && "getDirectory" in navigator.storage],
    ["camera", navigator.mediaDevices?.getUserMedia !== undefined],
    ["geolocation", "geolocation" in navigator],
  ];
  return present.filter(([, has]) => !has).map(([name]) => name);
}

/**
 * Ask the browser never to clear what this app keeps; answers whether it promised.
 *
 * Without the promise evidence may vanish when room runs low: the visit must then be handed in,
 * or carried away, before it ends.
 */
export async function askToPersist(): Promise<boolean> {
  if (await navigator.storage.persisted()) return true;
  return navigator.storage.persist();
}
