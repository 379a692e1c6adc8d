// What stands around every screen of an enrolled phone: banners above, the four ways below.
import type { ComponentChildren } from "preact";
import { lasting, runningNow } from "../recording";
import { path } from "../router";
import { ownVisits, persisted, status, trouble } from "../state";
import { say, type TextKey } from "../texts";
import { takeOver, waiting } from "../updates";
import { Icon, Notice, type IconName } from "./parts";

const WAYS: readonly (readonly [to: string, icon: IconName, text: TextKey])[] = [
  ["/today", "today", "field.nav.today"],
  ["/search", "search", "field.nav.search"],
  ["/status", "status", "field.nav.status"],
  ["/settings", "settings", "field.nav.settings"],
];

export function Shell(props: { readonly children: ComponentChildren }) {
  return (
    <>
      <Banners />
      {props.children}
      <nav class="ways" aria-label={say("field.nav")}>
        {WAYS.map(([to, icon, text]) => (
          <a key={to} href={`#${to}`} aria-current={path.value === to ? "page" : undefined}>
            <Icon name={icon} />
            {say(text)}
          </a>
        ))}
      </nav>
    </>
  );
}

/** One line on what exists only here, and what must be known before anything else. */
export function Banners() {
  return (
    <aside class="banners" aria-label={say("field.banners")}>
      {trouble.value !== "" && (
        <Notice tone="alarm" alert>
          {trouble.value}
        </Notice>
      )}
      {(status.value?.alarms ?? 0) > 0 && (
        <Notice tone="alarm" alert>
          <a href="#/status">{say("field.banner.fork")}</a>
        </Notice>
      )}
      {persisted.value === false && (
        <Notice tone="alarm" alert>
          <a href="#/settings">{say("field.banner.not_persisted")}</a>
        </Notice>
      )}
      <Recording />
      <OnlyHere />
      <Update />
    </aside>
  );
}

/** A recording goes on behind other screens; those of its inspection show it themselves. */
function Recording() {
  const now = runningNow.value;
  if (now === null || path.value.startsWith("/inspection/")) return null;
  const { kind, inspection } = now.running.row;
  return (
    <Notice tone="alarm">
      <a href={`#/inspection/${inspection}`}>
        {say(`field.recording.${kind}`)} {lasting(now.seconds)}
      </a>
    </Notice>
  );
}

function OnlyHere() {
  const now = status.value;
  if (now === null) return null;
  const { itemsOnlyHere: items, linesOnlyHere: lines } = now;
  if (items + lines === 0) return null;
  const text =
    items === 0
      ? "field.banner.lines_only_here"
      : items === 1
        ? "field.banner.one_only_here"
        : "field.banner.only_here";
  return (
    <div role="status" class="only-here">
      <a href="#/status">
        <Icon name="only" />
        {say(text, { items, lines })}
      </a>
    </div>
  );
}

/** A newer version is offered while no visit is open, and never takes over by itself. */
function Update() {
  if (waiting.value === null || path.value.startsWith("/inspection/")) return null;
  if (ownVisits.value.some((visit) => !visit.sealed)) return null;
  return (
    <div role="status" class="update">
      <p>{say("field.update.ready")}</p>
      <button type="button" onClick={takeOver}>
        {say("field.update.take")}
      </button>
    </div>
  );
}
