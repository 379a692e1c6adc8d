// What was captured, how safe each is, and withdrawing one with a reason.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ItemView } from "../../engine/field";
import { say } from "../../texts";
import { bytes, moment } from "../documents";
import { Failed, Icon, Notice, Page, useWork } from "../parts";
import type { ScreenProps } from "./index";
import { acts, clock, textOf } from "./visit";

const FATES = {
  "only-here": ["only", "field.fate.only_here"],
  sending: ["sending", "field.fate.sending"],
  safe: ["check", "field.fate.safe"],
} as const;

function Fate({ item }: { readonly item: ItemView }) {
  const [icon, key] = FATES[item.fate];
  return (
    <span class={`fate ${item.fate === "safe" ? "good" : ""}`}>
      <Icon name={icon} />
      {say(key)}
    </span>
  );
}

export function ItemsScreen({ visit, known }: ScreenProps) {
  return (
    <Page title={say("field.items.title")} back={visit.path()}>
      {known.items.length === 0 && <p>{say("field.items.none")}</p>}
      <ul class="plain">
        {known.items.map((item) => (
          <li key={item.item}>
            <a class="row" href={`#${visit.path("item", item.item)}`}>
              <span>
                <b>{item.title || item.name || item.item.slice(0, 8)}</b>
                <small>
                  {clock(item.takenAtMs)} · {bytes(item.size)} · {say(`field.class.${item.captureClass}`)}
                </small>
                {item.discarded && <span class="poor">{say("field.items.discarded")}</span>}
                <Fate item={item} />
              </span>
              <Icon name="next" />
            </a>
          </li>
        ))}
      </ul>
    </Page>
  );
}

export function ItemScreen(props: ScreenProps & { readonly item: string }) {
  const { visit, known } = props;
  const item = known.items.find((one) => one.item === props.item);
  if (item === undefined) {
    return (
      <Page title={say("field.items.title")} back={visit.path("items")}>
        <Notice tone="warning">{say("field.items.unknown")}</Notice>
      </Page>
    );
  }
  const announced = [...acts(known, "media.captured"), ...acts(known, "media.imported")].find(
    ({ act }) => act["item"] === item.item,
  )?.act;
  return (
    <Page title={item.title || item.name} back={visit.path("items")}>
      <Shown visit={visit} known={known} of={item} />
      <Fate item={item} />
      {announced?.["recovered"] === true && (
        <Notice tone="warning">{say("field.items.recovered")}</Notice>
      )}
      <dl>
        <dt>{say("field.items.taken")}</dt>
        <dd>{moment(item.takenAtMs)}</dd>
        <dt>{say("field.items.class")}</dt>
        <dd>{say(`field.class.${item.captureClass}`)}</dd>
        <dt>{say("field.capture.fact")}</dt>
        <dd>{textOf(announced?.["fact_to_prove"]) || say("field.items.no_fact")}</dd>
        <dt>SHA-256</dt>
        <dd class="code">{item.sha256}</dd>
      </dl>
      {item.discarded ? (
        <Notice tone="warning">{say("field.items.discarded")}</Notice>
      ) : (
        <Discard visit={visit} known={known} item={item.item} />
      )}
    </Page>
  );
}

/** Decrypted only while it is looked at. */
function Shown(props: ScreenProps & { readonly of: ItemView }) {
  const { visit, of: item } = props;
  const address = useSignal("");
  const { failure, run } = useWork();
  useEffect(() => {
    let made = "";
    void run(async () => {
      made = URL.createObjectURL(await visit.field.bytesOf(item));
      address.value = made;
    });
    return () => URL.revokeObjectURL(made);
  }, [item.item]);
  if (address.value === "") return <Failed text={failure.value} />;
  const kind = item.mediaType.split("/")[0];
  const name = item.title || item.name;
  if (kind === "image") return <img class="shown" src={address.value} alt={name} />;
  if (kind === "video") return <video class="shown" src={address.value} controls aria-label={name} />;
  if (kind === "audio") return <audio class="shown" src={address.value} controls aria-label={name} />;
  return <p>{item.mediaType}</p>;
}

function Discard(props: ScreenProps & { readonly item: string }) {
  const { visit, known, item } = props;
  const open = useSignal(false);
  const reason = useSignal("");
  const { busy, failure, run } = useWork();
  const discard = (event: Event): void => {
    event.preventDefault();
    void run(async () => {
      await visit.field.discard(item, known.present[0] ?? "", reason.value.trim().normalize("NFC"));
      await visit.reload();
    });
  };
  if (!open.value) {
    return (
      <button type="button" onClick={() => (open.value = true)}>
        {say("field.discard.title")}
      </button>
    );
  }
  return (
    <form class="card" onSubmit={discard}>
      <p>{say("field.discard.hint")}</p>
      <label>
        {say("field.discard.reason")}
        <input
          required
          pattern=".*\S.*"
          maxLength={500}
          value={reason.value}
          onInput={(event) => (reason.value = event.currentTarget.value)}
        />
      </label>
      <Failed text={failure.value} />
      <button type="submit" class="main" disabled={busy.value}>
        {say("field.discard.do")}
      </button>
      <button type="button" onClick={() => (open.value = false)}>
        {say("field.cancel")}
      </button>
    </form>
  );
}
