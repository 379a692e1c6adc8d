// Search in all that came down, by any piece of its text: Chinese has no spaces to cut words at.
import { useSignal } from "@preact/signals";
import { isObject, type Json } from "../evidence/canonical";
import type { Field } from "../engine/field";
import { status } from "../state";
import { say, type TextKey } from "../texts";
import { text } from "./documents";
import { Icon, Page, useRead } from "./parts";

const MOST = 50;
const KINDS: Readonly<Record<string, TextKey>> = {
  task: "field.kind.task",
  dossier: "field.kind.entity",
  entity: "field.kind.entity",
  inspection: "field.kind.inspection",
};

interface Entry {
  readonly kind: string;
  readonly id: string;
  readonly title: string;
  readonly hint: string;
  readonly words: string;
}

/** Every entry that holds each of the words of `wanted`. */
export function matching(entries: readonly Entry[], wanted: string): Entry[] {
  const words = folded(wanted).split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  return entries.filter((entry) => words.every((word) => entry.words.includes(word)));
}

async function entriesOf(field: Field): Promise<Entry[]> {
  const found: Entry[] = [];
  const parties = new Set<string>();
  for (const kind of Object.keys(KINDS)) {
    for (const { id, body } of await field.documents(kind)) {
      // A dossier holds all that its entity does.
      if (kind === "entity" && parties.has(id)) continue;
      if (kind === "dossier") parties.add(id);
      const title = text(body, "title") || text(body, "name");
      const words = folded([...textsIn(body)].join("\n"));
      found.push({ kind, id, title, hint: text(body, "address"), words });
    }
  }
  return found;
}

export function Search(props: { readonly field: Field }) {
  const wanted = useSignal("");
  const entries = useRead(() => entriesOf(props.field), [status.value]);
  const found = matching(entries ?? [], wanted.value);
  return (
    <Page title={say("field.search.title")}>
      <label>
        {say("field.search.for")}
        <input
          type="search"
          enterkeyhint="search"
          value={wanted.value}
          onInput={(event) => (wanted.value = event.currentTarget.value)}
        />
      </label>
      <p role="status">
        {wanted.value.trim() === ""
          ? say("field.search.hint")
          : say("field.search.found", { count: found.length })}
      </p>
      <ul class="plain">
        {found.slice(0, MOST).map((entry) => (
          <li key={`${entry.kind} ${entry.id}`}>
            <a class="row" href={addressOf(entry)}>
              <span>
                <b>{entry.title}</b>
                <small>{entry.hint}</small>
                <small>{say(KINDS[entry.kind] ?? "field.kind.task")}</small>
              </span>
              <Icon name="next" />
            </a>
          </li>
        ))}
      </ul>
      {found.length > MOST && <p>{say("field.search.more")}</p>}
    </Page>
  );
}

function addressOf({ kind, id }: Entry): string {
  if (kind === "task") return `#/task/${id}`;
  return kind === "inspection" ? `#/inspection/${id}` : `#/entity/${id}`;
}

function folded(words: string): string {
  return words.normalize("NFKC").toLowerCase();
}

function* textsIn(value: Json): Generator<string> {
  if (typeof value === "string") yield value;
  else if (typeof value === "number") yield String(value);
  else if (Array.isArray(value)) for (const one of value as Json[]) yield* textsIn(one);
  else if (isObject(value)) for (const one of Object.values(value)) yield* textsIn(one as Json);
}
