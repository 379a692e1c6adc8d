// The PIN: set once, then given each time the app is opened.
import { useSignal, type Signal } from "@preact/signals";
import type { Field } from "../engine/field";
import { refresh, syncNow } from "../state";
import { say, type TextKey } from "../texts";
import { Failed, Notice, Page, useWork } from "./parts";

const SHORTEST = 6;
const LONGEST = 12;

export function PinInput(props: {
  readonly text: TextKey;
  readonly value: Signal<string>;
  readonly fresh?: boolean;
}) {
  return (
    <label>
      {say(props.text)}
      <input
        class="pin"
        type="password"
        inputMode="numeric"
        pattern={`[0-9]{${SHORTEST},${LONGEST}}`}
        minLength={SHORTEST}
        maxLength={LONGEST}
        required
        autocomplete={props.fresh === true ? "new-password" : "current-password"}
        value={props.value.value}
        onInput={(event) => (props.value.value = event.currentTarget.value)}
      />
    </label>
  );
}

/** Set the first PIN, typed twice. */
export function SetPin(props: { readonly field: Field }) {
  const pin = useSignal("");
  const again = useSignal("");
  const differ = useSignal(false);
  const { busy, failure, run } = useWork();
  const set = (event: Event): void => {
    event.preventDefault();
    differ.value = pin.value !== again.value;
    if (differ.value) return;
    void run(async () => {
      await props.field.setPin(pin.value);
      await refresh(props.field);
      void syncNow(props.field);
    });
  };
  return (
    <Page title={say("field.pin.set.title")} languages>
      <p>{say("field.pin.set.why")}</p>
      <form class="card" onSubmit={set}>
        <PinInput text="field.pin.new" value={pin} fresh />
        <PinInput text="field.pin.again" value={again} fresh />
        {differ.value && <Failed text={say("field.pin.differ")} />}
        <Failed text={failure.value} />
        <button type="submit" class="main" disabled={busy.value}>
          {say(busy.value ? "field.working" : "field.pin.set")}
        </button>
      </form>
      <Notice tone="warning">{say("field.pin.forgotten")}</Notice>
    </Page>
  );
}

export function Unlock(props: { readonly field: Field }) {
  const pin = useSignal("");
  const { busy, failure, run } = useWork();
  const unlock = (event: Event): void => {
    event.preventDefault();
    void run(async () => {
      await props.field.unlock(pin.value).finally(() => (pin.value = ""));
      await refresh(props.field);
      void syncNow(props.field);
    });
  };
  return (
    <Page title={say("field.unlock.title")} languages>
      <form class="card" onSubmit={unlock}>
        <PinInput text="field.pin" value={pin} />
        <Failed text={failure.value} />
        <button type="submit" class="main" disabled={busy.value}>
          {say(busy.value ? "field.working" : "field.unlock.do")}
        </button>
      </form>
      <p>{say("field.unlock.kept")}</p>
    </Page>
  );
}
