// Who is here: officers log in on this phone, both of them where they share it.
import { useSignal } from "@preact/signals";
import type { Field } from "../engine/field";
import { go } from "../router";
import { refresh, sessions, status, syncing, syncNow } from "../state";
import { say } from "../texts";
import { text } from "./documents";
import { Failed, Icon, Notice, Page, useRead, useWork } from "./parts";

export function Officers(props: { readonly field: Field }) {
  const { field } = props;
  const officers = useRead(() => field.documents("officer"), [syncing.value, status.value]);
  const here = new Set(sessions.value.map((one) => one.officer));
  return (
    <Page title={say("field.officers.title")} back="/today">
      <p>{say("field.officers.intro")}</p>
      {officers?.length === 0 && (
        <Notice tone="warning">
          <p>{say(syncing.value ? "field.officers.coming" : "field.officers.none")}</p>
          <button type="button" disabled={syncing.value} onClick={() => void syncNow(field)}>
            {say(syncing.value ? "field.sync.running" : "field.sync.now")}
          </button>
        </Notice>
      )}
      <ul class="plain">
        {officers?.map(({ id, body }) => (
          <One
            key={id}
            field={field}
            id={id}
            name={text(body, "name")}
            certificateNo={text(body, "certificate_no")}
            here={here.has(id)}
          />
        ))}
      </ul>
      {here.size > 0 && (
        <button type="button" class="main" onClick={() => go("/today")}>
          {say("field.officers.done")}
        </button>
      )}
      {here.size === 1 && <p>{say("field.officers.second")}</p>}
    </Page>
  );
}

function One(props: {
  readonly field: Field;
  readonly id: string;
  readonly name: string;
  readonly certificateNo: string;
  readonly here: boolean;
}) {
  const { field, id, certificateNo } = props;
  const asking = useSignal(false);
  const { busy, failure, run } = useWork();
  const change = (work: () => Promise<unknown>): void => {
    void run(async () => {
      await work();
      asking.value = false;
      await refresh(field);
    });
  };
  return (
    <li class="card">
      <h2>{props.name}</h2>
      <p>{say("field.officers.certificate", { number: certificateNo })}</p>
      {props.here && (
        <p class="fate good">
          <Icon name="check" />
          {say("field.officers.here")}
        </p>
      )}
      <Failed text={failure.value} />
      {props.here ? (
        <button type="button" disabled={busy.value} onClick={() => change(() => field.logOut(id))}>
          {say("field.officers.out", { name: props.name })}
        </button>
      ) : asking.value ? (
        <>
          <p>{say("field.officers.confirm", { name: props.name, number: certificateNo })}</p>
          <button
            type="button"
            class="main"
            disabled={busy.value}
            onClick={() => change(() => field.logIn(id, certificateNo))}
          >
            {say("field.officers.yes")}
          </button>
          <button type="button" onClick={() => (asking.value = false)}>
            {say("field.cancel")}
          </button>
        </>
      ) : (
        <button type="button" onClick={() => (asking.value = true)}>
          {say("field.officers.in", { name: props.name })}
        </button>
      )}
    </li>
  );
}
