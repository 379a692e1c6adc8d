// Which screen is shown: first a device, then a PIN, then wherever the address leads.
import { useEffect } from "preact/hooks";
import type { Field } from "./engine/field";
import { lazy } from "./lazy";
import { go, partsOf, path } from "./router";
import { Officers } from "./screens/officers";
import { Failed, Page } from "./screens/parts";
import { Banners, Shell } from "./screens/shell";
import { Today } from "./screens/today";
import { SetPin, Unlock } from "./screens/unlock";
import { refresh, status, trouble } from "./state";
import { say } from "./texts";

const Enrol = lazy(() => import("./screens/enrol").then((screen) => screen.Enrol));
const Inspection = lazy(() =>
  import("./screens/inspection").then((screen) => screen.InspectionScreen),
);
const Search = lazy(() => import("./screens/search").then((screen) => screen.Search));
const Settings = lazy(() => import("./screens/settings").then((screen) => screen.Settings));
const StatusScreen = lazy(() => import("./screens/status").then((screen) => screen.StatusScreen));
const TaskScreen = lazy(() => import("./screens/task").then((screen) => screen.TaskScreen));
const EntityScreen = lazy(() => import("./screens/task").then((screen) => screen.EntityScreen));

export function App(props: { readonly field: Field }) {
  const { field } = props;
  const at = path.value;
  useEffect(() => void refresh(field), [at]);
  const now = status.value;
  if (now === null) return <Starting />;
  if (!now.enrolled) return <Enrol field={field} />;
  if (!now.hasPin) return <SetPin field={field} />;
  if (!now.unlocked) return <Unlock field={field} />;
  const [name, id = ""] = partsOf(at);
  if (name === "inspection") {
    return (
      <>
        <Banners />
        <Inspection key={id} field={field} id={id} go={go} />
      </>
    );
  }
  return (
    <Shell>
      <Screen field={field} at={at} />
    </Shell>
  );
}

function Screen(props: { readonly field: Field; readonly at: string }) {
  const { field } = props;
  const [name, id = ""] = partsOf(props.at);
  switch (name) {
    case "task":
      return <TaskScreen key={id} field={field} id={id} />;
    case "entity":
      return <EntityScreen key={id} field={field} id={id} />;
    case "officers":
      return <Officers field={field} />;
    case "search":
      return <Search field={field} />;
    case "status":
      return <StatusScreen field={field} />;
    case "settings":
      return <Settings field={field} />;
    default:
      return <Today field={field} />;
  }
}

function Starting() {
  return (
    <Page title={say("field.title")}>
      {trouble.value === "" ? <p>{say("field.starting")}</p> : <Failed text={trouble.value} />}
    </Page>
  );
}
