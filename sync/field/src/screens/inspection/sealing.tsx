// The seal: what it will list, what is lacking, and both officers' word.
import { useSignal } from "@preact/signals";
import { lacking, type Gap } from "../../engine/forms";
import { runningNow } from "../../recording";
import { language, say } from "../../texts";
import { Failed, Notice, Page, useRead, useWork } from "../parts";
import { knownForms, versionOf } from "./form";
import type { ScreenProps } from "./index";
import { acts, type OpenVisit } from "./visit";

const NEEDED = "site_inspection_record";

interface Lacking {
  readonly title: string;
  readonly gaps: readonly Gap[];
}

/** Gaps by record, and the record that every inspection needs. */
async function gapsOf(visit: OpenVisit): Promise<readonly Lacking[]> {
  const [forms, records] = await Promise.all([
    knownForms(visit.field),
    visit.field.records(visit.id),
  ]);
  const found = records.flatMap((record): Lacking[] => {
    const form = versionOf(forms, record.template);
    // The form has left with the documents of a scope: the server knows it still.
    if (form === undefined) return [];
    return [{ title: form.title[language.value], gaps: lacking(form, record.values) }];
  });
  const needed = forms.find((form) => form.id === NEEDED);
  const begun = records.some((record) => record.template.id === NEEDED);
  if (needed !== undefined && !begun) {
    const label = { zh: say("field.seal.no_record"), en: say("field.seal.no_record") };
    const gap: Gap = { path: [], kind: "missing", label };
    found.push({ title: needed.title[language.value], gaps: [gap] });
  }
  return found.filter((one) => one.gaps.length > 0);
}

export function SealScreen({ visit, known }: ScreenProps) {
  const list = useRead(() => visit.field.sealList(visit.id), [known]);
  const gaps = useRead(() => gapsOf(visit), [known]);
  const agreed = useSignal<readonly string[]>([]);
  const { busy, failure, run } = useWork();
  const running = runningNow.value !== null;
  const { officers } = known.info;
  const absent = officers.filter((one) => !known.present.includes(one));
  const peers = acts(known, "peer.head").length;
  const ready = known.present.every((one) => agreed.value.includes(one)) && !running;
  const toggle = (officer: string, on: boolean): void => {
    agreed.value = [...agreed.value.filter((one) => one !== officer), ...(on ? [officer] : [])];
  };
  const seal = (): void =>
    void run(async () => {
      await visit.position.flush();
      await visit.field.seal({
        officer: known.present[0] ?? "",
        inspection: visit.id,
        officers: officers.filter((one) => agreed.value.includes(one)),
      });
      await visit.reload();
      visit.go(visit.path());
    });
  if (known.info.sealed) {
    return (
      <Page title={say("field.seal.title")} back={visit.path()}>
        <Notice tone="good">{say("field.seal.done")}</Notice>
      </Page>
    );
  }
  return (
    <Page title={say("field.seal.title")} back={visit.path()}>
      <p>{say("field.seal.intro")}</p>
      {list !== undefined && (
        <p class="card">
          {say("field.seal.lists", {
            revisions: list.revisions.length,
            media: list.media.length,
            heads: list.heads.length,
          })}
        </p>
      )}
      {running && <Notice tone="warning">{say("field.seal.running")}</Notice>}
      {absent.length > 0 && (
        <Notice tone="warning">
          {say("field.seal.absent", {
            names: absent.map((one) => known.names.get(one)).join(say("field.comma")),
          })}
          {peers === 0 && <a href={`#${visit.path("peer")}`}>{say("field.peer.title")}</a>}
        </Notice>
      )}
      {(gaps?.length ?? 0) > 0 && (
        <Notice tone="warning">
          <p>{say("field.seal.gaps")}</p>
          {gaps?.map((one) => (
            <div key={one.title}>
              <b>{one.title}</b>
              <ul>
                {one.gaps.map((gap) => (
                  <li key={gap.path.join(".")}>
                    {gap.label[language.value]} ({say(`field.gap_kind.${gap.kind}`)})
                  </li>
                ))}
              </ul>
            </div>
          ))}
        </Notice>
      )}
      <fieldset class="card">
        <legend>{say("field.seal.confirm")}</legend>
        {known.present.map((one) => (
          <label key={one} class="tick">
            <input
              type="checkbox"
              checked={agreed.value.includes(one)}
              onChange={(event) => toggle(one, event.currentTarget.checked)}
            />
            {say("field.seal.confirm.one", { name: known.names.get(one) ?? "" })}
          </label>
        ))}
      </fieldset>
      <Failed text={failure.value} />
      <button type="button" class="main" disabled={!ready || busy.value} onClick={seal}>
        {say((gaps?.length ?? 0) > 0 ? "field.seal.anyway" : "field.seal.do")}
      </button>
    </Page>
  );
}
