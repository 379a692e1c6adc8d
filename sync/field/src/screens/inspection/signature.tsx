// A signature: by finger on the screen, on paper, or the reason why there is none.
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { isObject, type JsonObject } from "../../evidence/canonical";
import { language, say } from "../../texts";
import { Failed, Notice, useWork } from "../parts";
import type { FieldProps } from "./fields";
import { textOf } from "./visit";

const WAYS = ["image", "paper", "refused", "absent"] as const;
type Way = (typeof WAYS)[number];
const INK_WIDTH = 4;
const JPEG_QUALITY = 0.95;

export function SignatureInput(props: FieldProps) {
  const { value, set } = props;
  const now: JsonObject = isObject(value) ? (value as JsonObject) : {};
  const way = useSignal<Way | "">(WAYS.find((one) => one === now["how"]) ?? "");
  const change = (name: string, text: string): void => {
    const { [name]: _before, ...others } = now;
    const rest = { ...others, how: way.value };
    set(text.trim() === "" ? rest : { ...rest, [name]: text });
  };
  const input = (name: "name" | "reason" | "witness") => (
    <label>
      {say(`field.signature.${name}`)}
      <input
        value={textOf(now[name])}
        required={name === "reason"}
        onInput={(event) => change(name, event.currentTarget.value)}
      />
    </label>
  );
  const choose = (chosen: Way): void => {
    way.value = chosen;
    // How it was given counts at once; a picture or a reason follows.
    set(chosen === "image" ? "" : { how: chosen });
  };
  const papers = props.known.items.filter((item) => !item.discarded);
  return (
    <>
      <label>
        {say("field.signature.how")}
        <select value={way.value} onChange={(event) => choose(event.currentTarget.value as Way)}>
          <option value="" disabled>
            {say("field.fields.choose")}
          </option>
          {WAYS.map((one) => (
            <option key={one} value={one}>
              {say(`field.signature.${one}`)}
            </option>
          ))}
        </select>
      </label>
      {way.value === "image" && <Pad {...props} signed={textOf(now["item"])} />}
      {way.value === "paper" && (
        <label>
          {say("field.signature.page")}
          <select value={textOf(now["item"])} onChange={(event) => change("item", event.currentTarget.value)}>
            <option value="">{say("field.fields.choose")}</option>
            {papers.map((item) => (
              <option key={item.item} value={item.item}>
                {item.title || item.name}
              </option>
            ))}
          </select>
          <small>{say("field.signature.page.hint")}</small>
        </label>
      )}
      {(way.value === "refused" || way.value === "absent") && (
        <>
          {input("reason")}
          {input("witness")}
        </>
      )}
    </>
  );
}

/** Kept as a picture of ours, with its time and position, as soon as it is accepted. */
function Pad(props: FieldProps & { readonly signed: string }) {
  const { visit, known, field, set, signed } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawn = useSignal(false);
  const name = useSignal("");
  const { busy, failure, run } = useWork();
  const point = (event: PointerEvent): void => {
    const pad = canvas.current;
    const ink = pad?.getContext("2d");
    if (!pad || !ink) return;
    const box = pad.getBoundingClientRect();
    const x = ((event.clientX - box.left) * pad.width) / box.width;
    const y = ((event.clientY - box.top) * pad.height) / box.height;
    if (event.type === "pointerdown") {
      pad.setPointerCapture(event.pointerId);
      ink.lineWidth = INK_WIDTH;
      ink.lineCap = ink.lineJoin = "round";
      ink.strokeStyle = "#000";
      ink.beginPath();
      ink.moveTo(x, y);
    } else if (event.buttons > 0) {
      ink.lineTo(x, y);
      ink.stroke();
      drawn.value = true;
    }
  };
  const clear = (): void => {
    canvas.current?.getContext("2d")?.clearRect(0, 0, 600, 240);
    drawn.value = false;
  };
  const accept = (): void =>
    void run(async () => {
      const saved = await visit.field.capture({
        officer: known.present[0] ?? "",
        inspection: visit.id,
        bytes: await picture(canvas.current),
        mediaType: "image/jpeg",
        captureClass: "A",
        name: "signature.jpg",
        title: `${say("field.signature.title")} ${field.label[language.value]}`,
        method: "signature",
        step: "signed",
      });
      const who = name.value.trim().normalize("NFC");
      set({ how: "image", item: saved.item, ...(who === "" ? {} : { name: who }) });
      await visit.reload();
    });
  if (signed !== "") {
    return (
      <>
        <Notice tone="good">{say("field.signature.kept")}</Notice>
        <button type="button" onClick={() => set("")}>
          {say("field.signature.again")}
        </button>
      </>
    );
  }
  return (
    <>
      <label>
        {say("field.signature.name")}
        <input value={name.value} onInput={(event) => (name.value = event.currentTarget.value)} />
      </label>
      <canvas
        ref={canvas}
        class="pad"
        width={600}
        height={240}
        role="img"
        aria-label={say("field.signature.pad")}
        onPointerDown={point}
        onPointerMove={point}
      />
      <Failed text={failure.value} />
      <div class="pair">
        <button type="button" onClick={clear}>
          {say("field.signature.clear")}
        </button>
        <button type="button" class="main" disabled={!drawn.value || busy.value} onClick={accept}>
          {say("field.signature.accept")}
        </button>
      </div>
    </>
  );
}

/** Black on white, as JPEG: it holds EXIF with time and number, as every picture of ours. */
async function picture(pad: HTMLCanvasElement | null): Promise<Uint8Array<ArrayBuffer>> {
  if (pad === null) throw new Error("no pad");
  const paper = new OffscreenCanvas(pad.width, pad.height);
  const context = paper.getContext("2d");
  if (context === null) throw new Error("no canvas");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, pad.width, pad.height);
  context.drawImage(pad, 0, 0);
  const still = await paper.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
  return new Uint8Array(await still.arrayBuffer());
}
