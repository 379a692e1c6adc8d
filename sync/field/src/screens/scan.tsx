// Reading a QR code with the camera; without one people type.
import { useEffect, useRef } from "preact/hooks";
import { Camera } from "../engine/camera";
import { say } from "../texts";
import { Failed, useWork } from "./parts";

interface Detector {
  detect(source: CanvasImageSource): Promise<readonly { readonly rawValue: string }[]>;
}

declare global {
  var BarcodeDetector: (new (of: { formats: string[] }) => Detector) | undefined;
}

const EVERY_MS = 250;

export function canScan(): boolean {
  return navigator.mediaDevices?.getUserMedia !== undefined;
}

/** The browser's own detector; where it has none, as on iPhones, one that comes with the app. */
async function detector(): Promise<Detector> {
  const Own = globalThis.BarcodeDetector ?? (await import("qr/decode.js")).BarcodeDetector;
  return new Own({ formats: ["qr_code"] });
}

/** Shows what the camera sees until a code is in the picture. */
export function Scanner(props: {
  readonly onFound: (text: string) => void;
  readonly onCancel: () => void;
}) {
  const place = useRef<HTMLDivElement>(null);
  const { failure, run } = useWork();
  useEffect(() => {
    const camera = new Camera();
    let timer = 0;
    let gone = false;
    const look = async (reader: Detector): Promise<void> => {
      const found = await reader.detect(camera.video).catch(() => []);
      const text = found[0]?.rawValue;
      if (gone) return;
      if (text === undefined) timer = setTimeout(() => void look(reader), EVERY_MS);
      else props.onFound(text);
    };
    void run(async () => {
      await camera.start();
      if (gone) return camera.stop();
      place.current?.append(camera.video);
      await look(await detector());
    });
    return () => {
      gone = true;
      clearTimeout(timer);
      camera.stop();
    };
  }, []);
  return (
    <section class="scanner" aria-label={say("field.scan.title")}>
      <p>{say("field.scan.hint")}</p>
      <div ref={place} />
      <Failed text={failure.value} />
      <button type="button" onClick={props.onCancel}>
        {say("field.cancel")}
      </button>
    </section>
  );
}
