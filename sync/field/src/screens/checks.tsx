// What this phone is fit for, part by part: at enrolment, and again whenever somebody doubts.
import { useSignal } from "@preact/signals";
import { CHECKS, check, type CheckName, type Found } from "../engine/checks";
import { persist } from "../state";
import { say } from "../texts";
import { Icon } from "./parts";

/** The checks of this phone, one after the other, each with what was found. */
export function Checks() {
  const found = useSignal<Partial<Record<CheckName, Found>>>({});
  const at = useSignal<CheckName | null>(null);
  const run = async (): Promise<void> => {
    found.value = {};
    for (const name of CHECKS) {
      at.value = name;
      found.value = { ...found.value, [name]: await check(name) };
    }
    at.value = null;
    await persist();
  };
  return (
    <section class="card" aria-labelledby="checks">
      <h2 id="checks">{say("field.checks.title")}</h2>
      <p>{say("field.checks.intro")}</p>
      <ul class="plain" aria-live="polite">
        {CHECKS.map((name) => (
          <Result key={name} name={name} found={found.value[name]} running={at.value === name} />
        ))}
      </ul>
      <button type="button" disabled={at.value !== null} onClick={() => void run()}>
        {say(at.value === null ? "field.checks.run" : "field.checks.running")}
      </button>
    </section>
  );
}

const GRADES = { good: "check", poor: "warning", bad: "alarm" } as const;

function Result(props: {
  readonly name: CheckName;
  readonly found: Found | undefined;
  readonly running: boolean;
}) {
  const { name, found } = props;
  const title = say(`field.check.${name}`);
  if (found === undefined) {
    return (
      <li class="check">
        <Icon name="info" />
        <span>
          {title}
          {props.running && ` ${say("field.checks.running")}`}
        </span>
      </li>
    );
  }
  return (
    <li class={`check ${found.grade}`}>
      <Icon name={GRADES[found.grade]} />
      <span>
        {title}{say("field.colon")}<b>{say(`field.grade.${found.grade}`)}</b> {found.value}
        {found.grade !== "good" && <small>{say(`field.check.${name}.next`)}</small>}
      </span>
    </li>
  );
}
