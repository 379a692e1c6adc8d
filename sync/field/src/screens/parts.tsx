// What screens are made of: the page's frame, buttons, notices, and work that may fail.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { go } from "../router";
import { sayError } from "../state";
import { choose, language, say } from "../texts";

/** A screen with its heading, which gets the focus: screen readers then say where one is. */
export function Page(props: {
  readonly title: string;
  readonly back?: string;
  /** Whether the language may be changed here: before the settings can be reached. */
  readonly languages?: boolean;
  readonly children: ComponentChildren;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${props.title} · ${say("field.short")}`;
    heading.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [props.title]);
  const { back } = props;
  return (
    <main>
      <header class="head">
        {back !== undefined && (
          <button type="button" class="back" aria-label={say("field.back")} onClick={() => go(back)}>
            <Icon name="back" />
          </button>
        )}
        <h1 tabIndex={-1} ref={heading}>
          {props.title}
        </h1>
        {props.languages === true && <Languages />}
      </header>
      {props.children}
    </main>
  );
}

export type Tone = "plain" | "good" | "warning" | "alarm";

const SHAPES = { plain: "info", good: "check", warning: "warning", alarm: "alarm" } as const;

/** A notice that says by shape and words what it says by colour. */
export function Notice(props: {
  readonly tone: Tone;
  readonly alert?: boolean;
  readonly children: ComponentChildren;
}) {
  return (
    <div class={`notice ${props.tone}`} role={props.alert === true ? "alert" : undefined}>
      <Icon name={SHAPES[props.tone]} />
      <div>{props.children}</div>
    </div>
  );
}

const PATHS = {
  back: "M15 4 7 12l8 8",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm0 8v6m0-10v.5",
  check: "M4 12.5 9.5 18 20 6.5",
  warning: "M12 3 22 20H2Zm0 6v5m0 3v.5",
  alarm: "M8 3h8l5 5v8l-5 5H8l-5-5V8Zm1 6 6 6m0-6-6 6",
  only: "M7 2h10v20H7Zm4 17h2",
  sending: "M12 20V5m-6 6 6-6 6 6",
  today: "M5 4h14v17H5Zm4-2v4m6-4v4M8 11h8m-8 5h5",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14Zm5 12 5 5",
  status: "M4 9a8 8 0 0 1 14-3l2 2m0-5v5h-5m5 7a8 8 0 0 1-14 3l-2-2m0 5v-5h5",
  settings: "M4 7h9m4 0h3M4 17h3m4 0h9M13 4.5h4v5h-4Zm-6 10h4v5H7Z",
  next: "m9 5 7 7-7 7",
} as const;

export type IconName = keyof typeof PATHS;

/** A picture beside words that say the same. */
export function Icon(props: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[props.name]} />
    </svg>
  );
}

/** Work that a button begins: one at a time, and what went wrong as a sentence. */
export function useWork() {
  const busy = useSignal(false);
  const failure = useSignal("");
  const run = async (work: () => Promise<void>): Promise<void> => {
    if (busy.value) return;
    busy.value = true;
    failure.value = "";
    try {
      await work();
    } catch (error) {
      failure.value = sayError(error);
    } finally {
      busy.value = false;
    }
  };
  return { busy, failure, run };
}

/** What `read` answers, read again when one of `inputs` changes; undefined until then. */
export function useRead<T>(read: () => Promise<T>, inputs: readonly unknown[]): T | undefined {
  const found = useSignal<T | undefined>(undefined);
  useEffect(() => {
    let gone = false;
    read().then(
      (value) => {
        if (!gone) found.value = value;
      },
      () => undefined,
    );
    return () => {
      gone = true;
    };
  }, [...inputs]);
  return found.value;
}

export function Failed(props: { readonly text: string }) {
  if (props.text === "") return null;
  return (
    <Notice tone="alarm" alert>
      {props.text}
    </Notice>
  );
}

function Languages() {
  return (
    <button
      type="button"
      class="language"
      lang={language.value === "zh" ? "en" : "zh-CN"}
      onClick={() => void choose(language.value === "zh" ? "en" : "zh")}
    >
      {say("field.language")}
    </button>
  );
}
