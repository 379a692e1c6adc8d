// Putting the app on the home screen: browsers that offer it promise to keep what it holds.
import { signal } from "@preact/signals";

interface InstallPrompt extends Event {
  prompt(): Promise<unknown>;
}

/** The browser's own offer, which may be shown once; null where there is none. */
export const installable = signal<InstallPrompt | null>(null);

export function awaitOffer(): void {
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    installable.value = event as InstallPrompt;
  });
  addEventListener("appinstalled", () => {
    installable.value = null;
  });
}

export async function install(): Promise<void> {
  const offer = installable.value;
  installable.value = null;
  await offer?.prompt();
}
