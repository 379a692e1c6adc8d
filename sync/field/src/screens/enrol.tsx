// Becoming a device: what this phone is fit for, the code, and what the bureau calls it.
import { useSignal } from "@preact/signals";
import type { Field } from "../engine/field";
import { missingAbilities } from "../engine/abilities";
import { partsOf, path, replace } from "../router";
import { persist, refresh, wiped } from "../state";
import { say, sayFailure } from "../texts";
import { installable, install } from "../installing";
import { Checks } from "./checks";
import { moment } from "./documents";
import { Failed, Notice, Page, useWork } from "./parts";
import { Scanner, canScan } from "./scan";

/** A QR code may hold the bare code or the app's address with it. */
export function codeIn(scanned: string): string {
  const inAddress = /#\/enrol\/([^/?]+)/.exec(scanned)?.[1];
  return decodeURIComponent(inAddress ?? scanned).trim();
}

export function Enrol(props: { readonly field: Field }) {
  const missing = missingAbilities();
  if (missing.length > 0) return <Unfit missing={missing} />;
  return (
    <Page title={say("field.enrol.title")} languages>
      {wiped.value !== undefined && (
        <Notice tone="warning">
          <p>{sayFailure("device.wiped")}</p>
          <small>
            {wiped.value.name} {moment(wiped.value.wipedAtMs)}
          </small>
        </Notice>
      )}
      <p>{say("field.enrol.intro")}</p>
      <Install />
      <Checks />
      <Code field={props.field} />
    </Page>
  );
}

/** Says plainly that nothing should be collected here, and where it can be. */
function Unfit(props: { readonly missing: readonly string[] }) {
  return (
    <Page title={say("field.unfit.title")} languages>
      <Notice tone="alarm" alert>
        {say("field.unsupported", { missing: props.missing.join(", ") })}
      </Notice>
      <h2>{say("field.unfit.instead")}</h2>
      <p>{say("field.unfit.docking")}</p>
    </Page>
  );
}

function Install() {
  if (installable.value === null) return null;
  return (
    <section class="card">
      <h2>{say("field.install.title")}</h2>
      <p>{say("field.install.why")}</p>
      <button type="button" onClick={() => void install()}>
        {say("field.install.do")}
      </button>
    </section>
  );
}

function Code(props: { readonly field: Field }) {
  const inPath = partsOf(path.value);
  const code = useSignal(inPath[0] === "enrol" ? (inPath[1] ?? "") : "");
  const name = useSignal("");
  const scanning = useSignal(false);
  const { busy, failure, run } = useWork();
  const enrol = (event: Event): void => {
    event.preventDefault();
    void run(async () => {
      await persist();
      await props.field.enrol(codeIn(code.value), { name: name.value.trim() });
      replace("/officers");
      await refresh(props.field);
    });
  };
  return (
    <form class="card" onSubmit={enrol}>
      <h2>{say("field.enrol.code.title")}</h2>
      {canScan() && !scanning.value && (
        <button type="button" onClick={() => (scanning.value = true)}>
          {say("field.enrol.scan")}
        </button>
      )}
      {scanning.value && (
        <Scanner
          onFound={(text) => {
            code.value = codeIn(text);
            scanning.value = false;
          }}
          onCancel={() => (scanning.value = false)}
        />
      )}
      <label>
        {say("field.enrol.code")}
        <input
          required
          autocomplete="off"
          autocapitalize="characters"
          spellcheck={false}
          value={code.value}
          onInput={(event) => (code.value = event.currentTarget.value)}
        />
      </label>
      <label>
        {say("field.enrol.name")}
        <input
          required
          maxLength={200}
          value={name.value}
          onInput={(event) => (name.value = event.currentTarget.value)}
        />
        <small>{say("field.enrol.name.hint")}</small>
      </label>
      <Failed text={failure.value} />
      <button type="submit" class="main" disabled={busy.value}>
        {say(busy.value ? "field.working" : "field.enrol.do")}
      </button>
    </form>
  );
}
