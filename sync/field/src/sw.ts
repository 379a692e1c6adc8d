// The service worker: keeps the whole app on the phone and never touches what goes to the server.
/// <reference lib="webworker" />

interface Shell {
  readonly version: string;
  readonly files: readonly string[];
}

/** Written in when the app is built: each file of it, and a name for their content. */
declare const __SHELL__: Shell;

// The library's types take every worker for a dedicated one.
const worker = self as unknown as ServiceWorkerGlobalScope;
const SHELL: Shell = __SHELL__;
const PREFIX = "field-";
const CACHE = PREFIX + SHELL.version;
const BASE = new URL("./", worker.location.href).pathname;
const FILES: ReadonlySet<string> = new Set(SHELL.files.map((name) => BASE + name));
const INDEX = `${BASE}index.html`;

worker.addEventListener("install", (event) => {
  event.waitUntil(keep());
});

worker.addEventListener("activate", (event) => {
  event.waitUntil(forgetOthers());
});

// A new version waits until the app says that no visit is open: it is never changed under one.
worker.addEventListener("message", (event) => {
  if (event.data === "take-over") event.waitUntil(worker.skipWaiting());
});

worker.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== worker.location.origin) return;
  if (event.request.mode === "navigate" && (url.pathname === BASE || url.pathname === INDEX)) {
    event.respondWith(kept(INDEX, event.request));
  } else if (FILES.has(url.pathname)) {
    event.respondWith(kept(url.pathname, event.request));
  }
});

async function keep(): Promise<void> {
  const cache = await caches.open(CACHE);
  // Past the browser's own cache, which may hold files of an earlier version.
  await cache.addAll([...FILES].map((path) => new Request(path, { cache: "reload" })));
}

async function forgetOthers(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  }
  await worker.clients.claim();
}

async function kept(path: string, request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  return (await cache.match(path)) ?? fetch(request);
}
