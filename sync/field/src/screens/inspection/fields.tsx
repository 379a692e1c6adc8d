// One field of a form, by its type. Nothing is filled in or ticked before a person does it.
import { useId } from "preact/hooks";
import { isObject, type Json, type JsonObject } from "../../evidence/canonical";
import { isRequired, isShown, type FormField, type Values } from "../../engine/forms";
import { language, say } from "../../texts";
import type { ScreenProps } from "./index";
import { SignatureInput } from "./signature";
import { minuteOf, textOf } from "./visit";

export interface FieldProps extends ScreenProps {
  readonly field: FormField;
  readonly value: Json;
  readonly set: (value: Json) => void;
}

const PERSON = ["identity_number", "phone", "certificate_no", "organization", "position", "address"] as const;

export function FieldInput(props: FieldProps) {
  const { field } = props;
  const name = field.label[language.value];
  const hint = field.hint?.[language.value];
  const mark = isRequired(field, {}) ? " *" : "";
  switch (field.type) {
    case "text":
    case "long_text":
    case "integer":
    case "datetime":
    case "medium":
    case "sketch":
      return (
        <label>
          {name}
          {mark}
          <Plain {...props} />
          {hint !== undefined && <small>{hint}</small>}
        </label>
      );
    default:
      return (
        <fieldset class="card">
          <legend>
            {name}
            {mark}
          </legend>
          {hint !== undefined && <small>{hint}</small>}
          <Composed {...props} />
        </fieldset>
      );
  }
}

/** Types of one input. */
function Plain({ known, field, value, set }: FieldProps) {
  const text = typeof value === "number" ? String(value) : textOf(value);
  switch (field.type) {
    case "long_text":
      return <textarea rows={5} value={text} onInput={(event) => set(event.currentTarget.value)} />;
    case "integer":
      return (
        <input
          inputMode="numeric"
          value={text}
          onInput={(event) => {
            const typed = event.currentTarget.value.trim();
            // Whatever is no number is kept as it was typed, and told at the seal.
            set(/^-?[0-9]{1,15}$/.test(typed) ? Number(typed) : typed);
          }}
        />
      );
    case "datetime":
      return (
        <span class="with">
          <input
            type="datetime-local"
            value={text.slice(0, 16)}
            onInput={(event) => {
              const minute = event.currentTarget.value.slice(0, 16);
              set(minute === "" ? "" : `${minute}+08:00`);
            }}
          />
          <button type="button" onClick={() => set(`${minuteOf(Date.now())}+08:00`)}>
            {say("field.now")}
          </button>
        </span>
      );
    case "medium":
    case "sketch":
      return (
        <select
          value={isObject(value) ? String(value["item"]) : ""}
          onChange={(event) => {
            const item = event.currentTarget.value;
            set(item === "" ? "" : { item });
          }}
        >
          <option value="">{say("field.fields.choose")}</option>
          {known.items
            .filter((item) => !item.discarded)
            .map((item) => (
              <option key={item.item} value={item.item}>
                {item.title || item.name}
              </option>
            ))}
        </select>
      );
    default:
      return <input value={text} onInput={(event) => set(event.currentTarget.value)} />;
  }
}

/** Types of several inputs. */
function Composed(props: FieldProps) {
  switch (props.field.type) {
    case "boolean":
      return <YesNo {...props} />;
    case "choice":
      return <Choice {...props} />;
    case "number":
      return <Amount {...props} />;
    case "person":
      return <Person {...props} />;
    case "location":
      return <Location {...props} />;
    case "signature":
      return <SignatureInput {...props} />;
    default:
      return <Group {...props} />;
  }
}

function YesNo({ value, set }: FieldProps) {
  const name = useId();
  return (
    <div class="pair">
      {[true, false].map((one) => (
        <label key={String(one)} class="tick">
          <input type="radio" name={name} checked={value === one} onChange={() => set(one)} />
          {say(one ? "field.yes" : "field.no")}
        </label>
      ))}
    </div>
  );
}

function Choice({ field, value, set }: FieldProps) {
  const name = useId();
  const many = field.multiple === true;
  const chosen: readonly Json[] = Array.isArray(value) ? (value as readonly Json[]) : [value];
  const change = (id: string, on: boolean): void => {
    if (!many) set(id);
    else set([...chosen.filter((one) => one !== id && one !== ""), ...(on ? [id] : [])]);
  };
  return (
    <>
      {(field.options ?? []).map(({ id, label }) => (
        <label key={id} class="tick">
          <input
            type={many ? "checkbox" : "radio"}
            name={name}
            checked={chosen.includes(id)}
            onChange={(event) => change(id, event.currentTarget.checked)}
          />
          {label[language.value]}
        </label>
      ))}
    </>
  );
}

function Amount({ field, value, set }: FieldProps) {
  const units = field.units ?? [];
  const now = members(value);
  const unit = textOf(now["unit"]) || (units.length === 1 ? (units[0] ?? "") : "");
  const change = (number: string, of: string): void =>
    set(number === "" ? "" : { value: number, unit: of });
  return (
    <span class="with">
      <input
        inputMode="decimal"
        aria-label={field.label[language.value]}
        value={textOf(now["value"])}
        onInput={(event) => change(event.currentTarget.value.trim(), unit)}
      />
      <select
        aria-label={say("field.fields.unit")}
        value={unit}
        onChange={(event) => change(textOf(now["value"]), event.currentTarget.value)}
      >
        {units.length !== 1 && <option value="">{say("field.fields.unit")}</option>}
        {units.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </span>
  );
}

function Person({ value, set }: FieldProps) {
  const now = members(value);
  const change = (name: string, text: string): void => {
    const { [name]: _before, ...others } = now;
    const next = text.trim() === "" ? others : { ...others, [name]: text };
    set(Object.keys(next).length === 0 ? "" : next);
  };
  const input = (name: "name" | (typeof PERSON)[number]) => (
    <label key={name}>
      {say(`field.person.${name}`)}
      <input value={textOf(now[name])} onInput={(event) => change(name, event.currentTarget.value)} />
    </label>
  );
  return (
    <>
      {input("name")}
      <details>
        <summary>{say("field.person.more")}</summary>
        {PERSON.map(input)}
      </details>
    </>
  );
}

function Location({ visit, value, set }: FieldProps) {
  void visit.beat.value;
  const { fix } = visit.position;
  const now = members(value);
  const degrees = (name: string): string => (Number(now[name]) / 1e7).toFixed(6);
  return (
    <>
      <p>
        {typeof now["lat"] === "number"
          ? `${degrees("lat")}, ${degrees("lon")} ± ${Math.round(Number(now["acc"] ?? 0) / 100)} m`
          : say("field.fields.no_place")}
      </p>
      <button
        type="button"
        disabled={fix === null}
        onClick={() =>
          fix !== null &&
          set({ lat: fix.lat, lon: fix.lon, acc: fix.acc, source_datum: "WGS-84", source: "device" })
        }
      >
        {say("field.fields.place_here")}
      </button>
    </>
  );
}

function Group(props: FieldProps) {
  const { field, value, set } = props;
  const entries: readonly Values[] = Array.isArray(value) ? (value as readonly Values[]) : [];
  const replace = (place: number, entry: Values | null): void => {
    const next = entries.flatMap((one, at) => (at !== place ? [one] : entry === null ? [] : [entry]));
    set(next as readonly JsonObject[]);
  };
  return (
    <>
      {entries.map((entry, place) => (
        <div key={place} class="entry" role="group" aria-label={`${field.label[language.value]} ${place + 1}`}>
          <b>{place + 1}</b>
          {(field.fields ?? [])
            .filter((one) => isShown(one, entry))
            .map((one) => (
              <FieldInput
                key={one.id}
                {...props}
                field={one}
                value={entry[one.id] ?? ""}
                set={(next) => replace(place, { ...entry, [one.id]: next })}
              />
            ))}
          <button type="button" onClick={() => replace(place, null)}>
            {say("field.fields.remove", { place: place + 1 })}
          </button>
        </div>
      ))}
      <button type="button" onClick={() => set([...entries, {}] as readonly JsonObject[])}>
        {say("field.fields.add")}
      </button>
    </>
  );
}

function members(value: Json): JsonObject {
  return isObject(value) ? (value as JsonObject) : {};
}
