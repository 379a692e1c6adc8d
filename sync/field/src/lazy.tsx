// Screens that are loaded when somebody goes there: the first one comes the sooner.
import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { sayError, trouble } from "./state";

/** A component that draws nothing until `load` has brought what it draws. */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  const loaded = signal<ComponentType<P> | null>(null);
  let begun = false;
  const begin = (): void => {
    begun = true;
    load().then(
      (component) => {
        loaded.value = component;
      },
      (error: unknown) => {
        begun = false;
        trouble.value = sayError(error);
      },
    );
  };
  return function Lazy(props: P) {
    const Loaded = loaded.value;
    if (Loaded !== null) return <Loaded {...props} />;
    if (!begun) begin();
    return <main aria-busy="true" />;
  };
}
