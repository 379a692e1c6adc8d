// Records on forms: begun on the version in force, saved as revisions, never held up by gaps.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Json } from "../../evidence/canonical";
import type { Field } from "../../engine/field";
import { inForce, isShown, type Form, type Values } from "../../engine/forms";
import { inNormalForm, type RecordView } from "../../engine/records";
import { language, say } from "../../texts";
import { Failed, Icon, Notice, Page, useRead, useWork } from "../parts";
import { FieldInput } from "./fields";
import type { ScreenProps } from "./index";
import { clock } from "./visit";

/** What was typed is signed after so long without a further letter, if nobody saved before. */
const IDLE_MS = 20_000;

/** All versions of all forms that came down. */
export async function knownForms(field: Field): Promise<Form[]> {
  const rows = await field.documents("template");
  return rows.map((row) => row.body as unknown as Form);
}

export function versionOf(forms: readonly Form[], template: RecordView["template"]): Form | undefined {
  return forms.find((form) => form.id === template.id && form.version === template.version);
}

export function FormsScreen({ visit, known }: ScreenProps) {
  const forms = useRead(() => knownForms(visit.field), []);
  const records = useRead(() => visit.field.records(visit.id), [known]);
  const { busy, failure, run } = useWork();
  const begin = (form: Form): void =>
    void run(async () => {
      const record = await visit.field.newRecordId(visit.id, form.id);
      visit.go(visit.path("form", `${form.id}.v${form.version}`, record));
    });
  const begun = new Set((records ?? []).map((one) => one.template.id));
  const offered = inForce(forms ?? [], known.info.openedAtMs).filter(
    // An inspection has one site inspection record: who begins it again goes on with it.
    (form) => form.id !== "site_inspection_record" || !begun.has(form.id),
  );
  return (
    <Page title={say("field.forms.title")} back={visit.path()}>
      {(records ?? []).map((one) => {
        const form = versionOf(forms ?? [], one.template);
        const name = form?.title[language.value] ?? one.template.id;
        const to = visit.path("form", `${one.template.id}.v${one.template.version}`, one.record);
        return (
          <a key={one.record} class="row strong" href={`#${to}`}>
            <span>
              <b>{name}</b>
              <small>{say("field.forms.revisions", { count: one.revisions.length })}</small>
            </span>
            <Icon name="next" />
          </a>
        );
      })}
      <h2>{say("field.forms.begin")}</h2>
      {forms?.length === 0 && <Notice tone="warning">{say("field.forms.none")}</Notice>}
      {offered.map((form) => (
        <button key={form.id} type="button" disabled={busy.value} onClick={() => begin(form)}>
          {form.title[language.value]}
        </button>
      ))}
      <Failed text={failure.value} />
    </Page>
  );
}

interface Editing {
  readonly form: Form;
  readonly seen: RecordView | undefined;
}

export function FormScreen(props: ScreenProps & { readonly form: string; readonly record: string }) {
  const { visit, known, record } = props;
  const editing = useSignal<Editing | null | undefined>(null);
  const draft = useSignal<Values>({});
  const savedAt = useSignal(0);
  /** What was changed since it was last signed: a field that nobody touched settles nothing. */
  const touched = useRef(new Set<string>());
  const { busy, failure, run } = useWork();

  const read = async (): Promise<Editing | undefined> => {
    const [forms, records] = await Promise.all([
      knownForms(visit.field),
      visit.field.records(visit.id),
    ]);
    const form = forms.find((one) => `${one.id}.v${one.version}` === props.form);
    return form && { form, seen: records.find((one) => one.record === record) };
  };
  const save = (): Promise<void> =>
    run(async () => {
      // What is typed while this is being signed is signed next, also when the screen is left.
      while (editing.value && touched.current.size > 0) {
        const names = touched.current;
        touched.current = new Set();
        const changed = Object.entries(draft.value).filter(([name]) => names.has(name));
        try {
          await visit.field.saveRecord({
            officer: known.present[0] ?? "",
            inspection: visit.id,
            record,
            form: editing.value.form,
            values: inNormalForm(Object.fromEntries(changed)) as Values,
            seen: editing.value.seen,
          });
        } catch (error) {
          for (const name of names) touched.current.add(name);
          throw error;
        }
        editing.value = await read();
        savedAt.value = Date.now();
        await visit.reload();
      }
    });
  useEffect(() => {
    void run(async () => {
      editing.value = await read();
      draft.value = editing.value?.seen?.values ?? {};
    });
    const onHidden = (): void => {
      if (document.visibilityState === "hidden") void save();
    };
    document.addEventListener("visibilitychange", onHidden);
    return () => {
      document.removeEventListener("visibilitychange", onHidden);
      void save();
    };
  }, []);
  useEffect(() => {
    const timer = setTimeout(() => void save(), IDLE_MS);
    return () => clearTimeout(timer);
  }, [draft.value]);

  const now = editing.value;
  if (now === null) return <Page title={say("field.forms.title")}>{say("field.starting")}</Page>;
  if (now === undefined) {
    return (
      <Page title={say("field.forms.title")} back={visit.path("forms")}>
        <Notice tone="warning">{say("field.forms.gone")}</Notice>
        <Failed text={failure.value} />
      </Page>
    );
  }
  const set = (id: string, value: Json): void => {
    draft.value = { ...draft.value, [id]: value };
    touched.current.add(id);
  };
  return (
    <Page title={now.form.title[language.value]} back={visit.path("forms")}>
      {known.info.sealed && <Notice tone="warning">{say("field.forms.after_seal")}</Notice>}
      {(now.seen?.conflicts.length ?? 0) > 0 && (
        <Notice tone="warning">{say("field.forms.conflict")}</Notice>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {now.form.fields
          .filter((field) => isShown(field, draft.value))
          .map((field) => (
            <FieldInput
              key={field.id}
              visit={visit}
              known={known}
              field={field}
              value={draft.value[field.id] ?? ""}
              set={(value) => set(field.id, value)}
            />
          ))}
        <Failed text={failure.value} />
        <div class="keep">
          <button type="submit" class="main" disabled={busy.value}>
            {say("field.forms.save")}
          </button>
          <p class="fate good" role="status">
            {savedAt.value > 0 && say("field.forms.saved", { time: clock(savedAt.value) })}
          </p>
        </div>
      </form>
    </Page>
  );
}
