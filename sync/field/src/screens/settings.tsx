// How the app looks and is kept: language, type, theme, PIN, this phone, and its own room.
import { useSignal } from "@preact/signals";
import type { Field } from "../engine/field";
import { chooseSize, chooseTheme, size, SIZES, theme, THEMES } from "../display";
import { installable, install } from "../installing";
import { chooseRule, rule, RULES } from "../rule";
import { persist, persisted, refresh, status } from "../state";
import { choose, language, say } from "../texts";
import { Checks } from "./checks";
import { Failed, Icon, Notice, Page, useRead, useWork } from "./parts";
import { PinInput } from "./unlock";

export function Settings(props: { readonly field: Field }) {
  const { field } = props;
  const lock = (): void => {
    field.lock();
    void refresh(field);
  };
  return (
    <Page title={say("field.settings.title")}>
      <Choice
        legend={say("field.settings.language")}
        options={[
          ["zh", "中文"],
          ["en", "English"],
        ]}
        chosen={language.value}
        onChoose={(one) => void choose(one === "en" ? "en" : "zh")}
      />
      <Choice
        legend={say("field.settings.size")}
        options={SIZES.map((one) => [String(one), `${one} %`])}
        chosen={String(size.value)}
        onChoose={(one) => chooseSize(Number(one))}
      />
      <Choice
        legend={say("field.settings.theme")}
        options={THEMES.map((one) => [one, say(`field.theme.${one}`)])}
        chosen={theme.value}
        onChoose={(one) => chooseTheme(THEMES.find((known) => known === one) ?? "auto")}
      />
      <a class="row" href="#/officers">
        <span>{say("field.officers.title")}</span>
        <Icon name="next" />
      </a>
      <button type="button" onClick={lock}>
        {say("field.settings.lock")}
      </button>
      <ChangePin field={field} />
      <Keeping />
      <Choice
        legend={say("field.room.rule")}
        hint={say("field.room.intro")}
        options={RULES.map((one) => [one, say(`field.room.rule.${one}`)])}
        chosen={rule.value}
        onChoose={(one) => chooseRule(RULES.find((known) => known === one) ?? "by_hand")}
      />
      <Checks />
      <About field={field} />
    </Page>
  );
}

function Choice(props: {
  readonly legend: string;
  readonly hint?: string;
  readonly options: readonly (readonly [value: string, text: string])[];
  readonly chosen: string;
  readonly onChoose: (value: string) => void;
}) {
  return (
    <fieldset class="card choice">
      <legend>{props.legend}</legend>
      {props.hint !== undefined && <p>{props.hint}</p>}
      <div class="options">
        {props.options.map(([value, text]) => (
          <label key={value} class="tick">
            <input
              type="radio"
              name={props.legend}
              checked={props.chosen === value}
              onChange={() => props.onChoose(value)}
            />
            <span>{text}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function ChangePin(props: { readonly field: Field }) {
  const pin = useSignal("");
  const next = useSignal("");
  const done = useSignal(false);
  const { busy, failure, run } = useWork();
  const change = (event: Event): void => {
    event.preventDefault();
    done.value = false;
    void run(async () => {
      await props.field.changePin(pin.value, next.value);
      done.value = true;
    }).finally(() => {
      pin.value = next.value = "";
    });
  };
  return (
    <details class="card">
      <summary>
        <b>{say("field.pin.change")}</b>
      </summary>
      <form onSubmit={change}>
        <PinInput text="field.pin.present" value={pin} />
        <PinInput text="field.pin.new" value={next} fresh />
        <Failed text={failure.value} />
        {done.value && <Notice tone="good">{say("field.pin.changed")}</Notice>}
        <button type="submit" disabled={busy.value}>
          {say(busy.value ? "field.working" : "field.pin.change")}
        </button>
      </form>
    </details>
  );
}

/** Whether the browser promised to keep everything, and what helps where it did not. */
function Keeping() {
  const ask = async (): Promise<void> => {
    // Browsers promise more readily to those who may notify.
    if ("Notification" in globalThis) await Notification.requestPermission().catch(() => undefined);
    await persist();
  };
  return (
    <section class="card">
      <h2>{say("field.keeping.title")}</h2>
      {persisted.value === true ? (
        <Notice tone="good">{say("field.keeping.promised")}</Notice>
      ) : (
        <>
          <Notice tone="alarm">{say("field.keeping.refused")}</Notice>
          {installable.value !== null && (
            <button type="button" onClick={() => void install()}>
              {say("field.install.do")}
            </button>
          )}
          <button type="button" onClick={() => void ask()}>
            {say("field.keeping.ask")}
          </button>
        </>
      )}
    </section>
  );
}

function About(props: { readonly field: Field }) {
  const { field } = props;
  const found = useRead(
    async () => ({ enrolment: await field.enrolment(), head: await field.head() }),
    [status.value],
  );
  const { enrolment, head } = found ?? {};
  return (
    <section class="card">
      <h2>{say("field.about.title")}</h2>
      <dl>
        <dt>{say("field.about.name")}</dt>
        <dd>{enrolment?.name}</dd>
        <dt>{say("field.about.organization")}</dt>
        <dd>{enrolment?.organizationName}</dd>
        <dt>{say("field.about.device")}</dt>
        <dd class="code">{enrolment?.device}</dd>
        <dt>{say("field.about.head")}</dt>
        <dd class="code">{head?.typed}</dd>
      </dl>
      <a class="button" href={`${import.meta.env.BASE_URL}licenses.txt`}>
        {say("field.about.licences")}
      </a>
    </section>
  );
}
