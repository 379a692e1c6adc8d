// Today: who is here, visits under way, and the tasks by how soon they are due.
import type { Json } from "../evidence/canonical";
import type { Field } from "../engine/field";
import { ownVisits, sessions, status, syncing, syncNow } from "../state";
import { say } from "../texts";
import { byId, day, list, moment, number, text } from "./documents";
import { Icon, Notice, Page, useRead } from "./parts";

const DAY_MS = 86_400_000;
const ENDED = new Set(["closed", "cancelled"]);

export interface Task {
  readonly id: string;
  readonly title: string;
  readonly entity: string;
  readonly party: string;
  readonly address: string;
  readonly officers: readonly string[];
  readonly dueAtMs: number | undefined;
  readonly body: Json;
}

/** Tasks that are not done, the soonest due first, those without a day last. */
export async function openTasks(field: Field): Promise<Task[]> {
  const [tasks, dossiers, entities] = await Promise.all([
    field.documents("task"),
    byId(field, "dossier"),
    byId(field, "entity"),
  ]);
  return tasks
    .filter(({ body }) => !ENDED.has(text(body, "state")))
    .map(({ id, body }): Task => {
      const entity = text(body, "entity");
      const party = dossiers.get(entity) ?? entities.get(entity);
      return {
        id,
        title: text(body, "title"),
        entity,
        party: text(party, "name"),
        address: text(party, "address"),
        officers: list(body, "officers").map(String),
        dueAtMs: number(body, "due_at_ms"),
        body,
      };
    })
    .sort((a, b) => (a.dueAtMs ?? Infinity) - (b.dueAtMs ?? Infinity) || (a.id < b.id ? -1 : 1));
}

export function Today(props: { readonly field: Field }) {
  const { field } = props;
  const tasks = useRead(() => openTasks(field), [status.value]);
  const officers = useRead(() => byId(field, "officer"), [status.value]);
  const open = ownVisits.value.filter((visit) => !visit.sealed);
  const names = sessions.value.map((one) => text(officers?.get(one.officer), "name"));
  return (
    <Page title={say("field.today.title")}>
      <a class="row" href="#/officers">
        <span>
          {names.length === 0
            ? say("field.today.nobody")
            : say("field.today.here", { names: names.filter(Boolean).join(say("field.comma")) })}
        </span>
        <Icon name="next" />
      </a>
      {open.length > 0 && <h2>{say("field.today.open")}</h2>}
      {open.map((visit) => (
        <a key={visit.inspection} class="row strong" href={`#/inspection/${visit.inspection}`}>
          <span>
            <b>{visit.title || say("field.visit.untitled")}</b>
            <small>{say("field.visit.since", { time: moment(visit.openedAtMs) })}</small>
          </span>
          <Icon name="next" />
        </a>
      ))}
      <h2>{say("field.today.tasks", { count: tasks?.length ?? 0 })}</h2>
      {tasks?.length === 0 && <Nothing field={field} />}
      <ul class="plain">
        {tasks?.map((task) => (
          <li key={task.id}>
            <a class="row" href={`#/task/${task.id}`}>
              <span>
                <b>{task.party || task.title}</b>
                <span>{task.party === "" ? "" : task.title}</span>
                <small>{task.address}</small>
                <Due atMs={task.dueAtMs} />
              </span>
              <Icon name="next" />
            </a>
          </li>
        ))}
      </ul>
      <p class="quiet">
        {status.value !== null && status.value.lastSyncMs > 0
          ? say("field.today.as_of", { time: moment(status.value.lastSyncMs) })
          : say("field.today.never")}
      </p>
    </Page>
  );
}

function Nothing(props: { readonly field: Field }) {
  return (
    <Notice tone="plain">
      <p>{say("field.today.no_tasks")}</p>
      <button type="button" disabled={syncing.value} onClick={() => void syncNow(props.field)}>
        {say(syncing.value ? "field.sync.running" : "field.sync.now")}
      </button>
    </Notice>
  );
}

function midnight(ms: number): number {
  return new Date(ms).setHours(0, 0, 0, 0);
}

/** How long there is still time, in days of this phone's clock. */
export function Due(props: { readonly atMs: number | undefined }) {
  const { atMs } = props;
  if (atMs === undefined) return <small>{say("field.due.none")}</small>;
  const left = Math.round((midnight(atMs) - midnight(Date.now())) / DAY_MS);
  const late = atMs < Date.now();
  const said = late
    ? say("field.due.late", { days: Math.max(1, -left) })
    : left <= 0
      ? say("field.due.today")
      : say("field.due.days", { days: left });
  return (
    <span class={late ? "fate bad" : left <= 1 ? "fate poor" : "fate"}>
      {(late || left <= 1) && <Icon name={late ? "alarm" : "warning"} />}
      {said}
      {say("field.due.on", { day: day(atMs) })}
    </span>
  );
}
