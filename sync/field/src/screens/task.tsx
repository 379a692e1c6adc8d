// A task with the dossier of the party that it visits, all from what was synced before.
import { useSignal } from "@preact/signals";
import type { Json } from "../evidence/canonical";
import type { Field } from "../engine/field";
import { go } from "../router";
import { ownVisits, refresh, sessions, status } from "../state";
import { say, type TextKey } from "../texts";
import { byId, day, list, moment, number, text } from "./documents";
import { Failed, Icon, Notice, Page, useRead, useWork } from "./parts";
import { Due, openTasks, type Task } from "./today";

export function TaskScreen(props: { readonly field: Field; readonly id: string }) {
  const { field, id } = props;
  const found = useRead(async () => {
    const task = (await openTasks(field)).find((one) => one.id === id);
    return { task, officers: await byId(field, "officer") };
  }, [id, status.value]);
  if (found === undefined) return <Page title={say("field.task.title")} back="/today">{null}</Page>;
  const { task, officers } = found;
  if (task === undefined) {
    return (
      <Page title={say("field.task.title")} back="/today">
        <Notice tone="warning">{say("field.task.gone")}</Notice>
      </Page>
    );
  }
  const kind = text(task.body, "kind");
  const mode = text(task.body, "launch_mode");
  return (
    <Page title={task.title} back="/today">
      <p>
        <Due atMs={task.dueAtMs} />
      </p>
      <dl>
        <Said of="field.task.party">{task.party}</Said>
        <Said of="field.task.kind">{known(KINDS, kind)}</Said>
        <Said of="field.task.launch_mode">{known(MODES, mode)}</Said>
        <Said of="field.task.officers">
          {task.officers.map((one) => text(officers.get(one), "name")).join(say("field.comma"))}
        </Said>
      </dl>
      <Start field={field} task={task} officers={officers} />
      <Dossier field={field} entity={task.entity} />
    </Page>
  );
}

export function EntityScreen(props: { readonly field: Field; readonly id: string }) {
  const tasks = useRead(
    async () => (await openTasks(props.field)).filter((one) => one.entity === props.id),
    [props.id, status.value],
  );
  return (
    <Page title={say("field.dossier.title")} back="/search">
      <Dossier field={props.field} entity={props.id} />
      {tasks?.map((task) => (
        <a key={task.id} class="row" href={`#/task/${task.id}`}>
          <span>{task.title}</span>
          <Icon name="next" />
        </a>
      ))}
    </Page>
  );
}

/** Open the visit with the officers who are here; one of two may have a phone of their own. */
function Start(props: {
  readonly field: Field;
  readonly task: Task;
  readonly officers: ReadonlyMap<string, Json>;
}) {
  const { field, task, officers } = props;
  const [lead] = sessions.value;
  const chosen = useSignal<ReadonlySet<string>>(
    new Set([...sessions.value.map((one) => one.officer), ...task.officers]),
  );
  const { busy, failure, run } = useWork();
  const open = ownVisits.value.find((visit) => visit.task === task.id && !visit.sealed);
  if (open !== undefined) {
    return (
      <button type="button" class="main" onClick={() => go(`/inspection/${open.inspection}`)}>
        {say("field.task.go_on")}
      </button>
    );
  }
  if (lead === undefined) {
    return (
      <Notice tone="warning">
        <p>{say("field.task.nobody")}</p>
        <button type="button" onClick={() => go("/officers")}>
          {say("field.officers.title")}
        </button>
      </Notice>
    );
  }
  const start = (): void => {
    void run(async () => {
      const { id: taskId, entity, title } = task;
      const inspection = await field.openInspection({
        officer: lead.officer,
        officers: [lead.officer, ...[...chosen.value].filter((one) => one !== lead.officer)],
        task: taskId,
        title,
        ...(entity === "" ? {} : { entity }),
      });
      await refresh(field);
      go(`/inspection/${inspection}`);
    });
  };
  const flip = (id: string, on: boolean): void => {
    chosen.value = new Set([...chosen.value].filter((one) => one !== id).concat(on ? [id] : []));
  };
  return (
    <section class="card">
      <fieldset>
        <legend>{say("field.task.who")}</legend>
        {[...officers].map(([id, body]) => (
          <label key={id} class="tick">
            <input
              type="checkbox"
              checked={chosen.value.has(id)}
              disabled={id === lead.officer}
              onChange={(event) => flip(id, event.currentTarget.checked)}
            />
            <span>
              {text(body, "name")} <small>{text(body, "certificate_no")}</small>
            </span>
          </label>
        ))}
      </fieldset>
      {chosen.value.size < 2 && <Notice tone="warning">{say("field.task.two")}</Notice>}
      <Failed text={failure.value} />
      <button
        type="button"
        class="main"
        disabled={busy.value || chosen.value.size < 2}
        onClick={start}
      >
        {say(busy.value ? "field.working" : "field.task.start")}
      </button>
    </section>
  );
}

function Dossier(props: { readonly field: Field; readonly entity: string }) {
  const { field, entity } = props;
  const body = useRead(async () => {
    const dossier = (await byId(field, "dossier")).get(entity);
    return dossier ?? (await byId(field, "entity")).get(entity) ?? null;
  }, [entity, status.value]);
  if (body === undefined) return null;
  if (body === null) return <Notice tone="plain">{say("field.dossier.none")}</Notice>;
  const lat = number(body, "lat_e7");
  const lon = number(body, "lon_e7");
  return (
    <section class="card" aria-labelledby="dossier">
      <h2 id="dossier">{say("field.dossier.title")}</h2>
      <dl>
        {DOSSIER.map(([name, of]) => (
          <Said key={name} of={of}>
            {text(body, name)}
          </Said>
        ))}
        <Said of="field.dossier.classes">{list(body, "classes").map(String).join(say("field.comma"))}</Said>
        <Said of="field.dossier.areas">
          {list(body, "sensitive_areas").map(plainly).join(say("field.comma"))}
        </Said>
      </dl>
      {lat !== undefined && lon !== undefined && (
        <p>
          <a class="button" href={`geo:${lat / 1e7},${lon / 1e7}`}>
            {say("field.dossier.map")}
          </a>
        </p>
      )}
      <h3>{say("field.dossier.permits")}</h3>
      <ul>
        {list(body, "permits").map((permit, place) => (
          <li key={place}>
            {[text(permit, "kind"), text(permit, "number")].filter(Boolean).join(" ")}
            {text(permit, "valid_to") !== "" &&
              ` ${say("field.dossier.until", { day: text(permit, "valid_to") })}`}
          </li>
        ))}
        {list(body, "permits").length === 0 && <li>{say("field.dossier.unknown")}</li>}
      </ul>
      <h3>{say("field.dossier.visits")}</h3>
      <ul>
        {list(body, "inspections").map((visit) => (
          <li key={text(visit, "id")}>
            {day(number(visit, "opened_at_ms") ?? 0)} {text(visit, "title")}
            {say("field.comma")}
            {sealedAt(number(visit, "sealed_at_ms"))}
          </li>
        ))}
        {list(body, "inspections").length === 0 && <li>{say("field.dossier.unknown")}</li>}
      </ul>
    </section>
  );
}

const DOSSIER: readonly (readonly [name: string, of: TextKey])[] = [
  ["name", "field.dossier.name"],
  ["uscc", "field.dossier.uscc"],
  ["address", "field.dossier.address"],
  ["legal_representative", "field.dossier.legal_representative"],
  ["contact", "field.dossier.contact"],
  ["grade", "field.dossier.grade"],
  ["notes", "field.dossier.notes"],
];

const KINDS: Readonly<Record<string, TextKey>> = {
  daily: "field.task.kind.daily",
  special: "field.task.kind.special",
  individual: "field.task.kind.individual",
};
const MODES: Readonly<Record<string, TextKey>> = {
  routine: "field.task.launch_mode.routine",
  special: "field.task.launch_mode.special",
  emergency: "field.task.launch_mode.emergency",
};

function known(names: Readonly<Record<string, TextKey>>, value: string): string {
  const key = names[value];
  return key === undefined ? value : say(key);
}

function sealedAt(ms: number | undefined): string {
  return ms === undefined ? say("field.visit.open") : say("field.visit.sealed", { time: moment(ms) });
}

/** An entry of a list whose form the bureau chose. */
function plainly(value: Json): string {
  if (typeof value === "string") return value;
  return [text(value, "name"), text(value, "kind")].filter(Boolean).join(" ") || JSON.stringify(value);
}

/** A term and what is known of it; nothing where nothing is. */
function Said(props: { readonly of: TextKey; readonly children: string }) {
  if (props.children === "") return null;
  return (
    <>
      <dt>{say(props.of)}</dt>
      <dd>{props.children}</dd>
    </>
  );
}
