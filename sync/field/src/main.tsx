// The app's entry: starts the service worker, then draws.
import { render } from "preact";
import { App } from "./app";
import { registerWorker } from "./updates";
import "./app.css";

registerWorker();
const root = document.getElementById("app");
if (root !== null) render(<App />, root);
