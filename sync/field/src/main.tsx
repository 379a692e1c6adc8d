// The app's entry: starts the service worker, then draws.
import { render } from "preact";
import { App } from "./app";
import { dress } from "./display";
import { Field } from "./engine/field";
import { awaitOffer } from "./installing";
import { lockByItself, persisted, refresh, syncByItself } from "./state";
import { choose, stored } from "./texts";
import { registerWorker } from "./updates";
import "./app.css";

dress();
awaitOffer();
registerWorker();
const field = new Field();
void refresh(field);
void navigator.storage?.persisted?.().then((promised) => {
  persisted.value = promised;
});
lockByItself(field);
syncByItself(field);
const root = document.getElementById("app");
const draw = (): void => {
  if (root !== null) render(<App field={field} />, root);
};
// Where the other language's texts cannot be had, Chinese is drawn.
choose(stored).then(draw, draw);
