// The frame around all screens.
import { choose, language, say } from "./texts";
import { missingAbilities } from "./engine/abilities";
import { takeOver, waiting } from "./updates";

export function App() {
  const missing = missingAbilities();
  return (
    <main>
      <h1>{say("field.title")}</h1>
      {missing.length > 0 && (
        <p class="warning" role="alert">
          {say("field.unsupported", { missing: missing.join(", ") })}
        </p>
      )}
      {waiting.value !== null && (
        <p role="status">
          {say("field.update.ready")}
          <button type="button" onClick={takeOver}>
            {say("field.update.take")}
          </button>
        </p>
      )}
      <button type="button" onClick={() => choose(language.value === "zh" ? "en" : "zh")}>
        {say("field.language")}
      </button>
    </main>
  );
}
