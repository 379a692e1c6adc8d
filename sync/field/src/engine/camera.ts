// The in-app camera: one stream per visit, acquired again when the system has taken it away.
import type { Bytes } from "../evidence/bytes";
import { Failure } from "./failures";

export type Facing = "environment" | "user";

const JPEG_QUALITY = 0.92;

export class Camera {
  /** Shows what the camera sees; a screen may put it where it likes. */
  readonly video: HTMLVideoElement;
  private shared = false;

  constructor(private readonly facing: Facing = "environment") {
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.playsInline = true;
  }

  /** `shared` is a stream that belongs to somebody else, as a recording that runs. */
  async start(shared?: MediaStream): Promise<void> {
    this.shared = shared !== undefined;
    try {
      this.video.srcObject =
        shared ??
        (await navigator.mediaDevices.getUserMedia({
          audio: false,
          video: { facingMode: this.facing, width: { ideal: 4032 }, height: { ideal: 3024 } },
        }));
      await this.video.play();
    } catch (error) {
      const denied = error instanceof DOMException && error.name === "NotAllowedError";
      const code = denied ? "camera.denied" : "camera.unavailable";
      throw new Failure(code, String(error), { cause: error });
    }
  }

  stop(): void {
    if (!this.shared) for (const track of this.tracks()) track.stop();
    this.video.srcObject = null;
  }

  /** A still of this moment as JPEG, without any EXIF. */
  async take(): Promise<Bytes> {
    if (!this.tracks().some((track) => track.readyState === "live")) await this.start();
    const { videoWidth: width, videoHeight: height } = this.video;
    if (width === 0) throw new Failure("camera.unavailable", "no picture yet");
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d")?.drawImage(this.video, 0, 0);
    const still = await canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
    const bytes = new Uint8Array(await still.arrayBuffer());
    // Some browsers answer PNG whatever they were asked for.
    if (bytes[0] !== 0xff || bytes[1] !== 0xd8) throw new Failure("camera.unavailable", "no JPEG");
    return bytes;
  }

  private tracks(): MediaStreamTrack[] {
    const stream = this.video.srcObject;
    return stream instanceof MediaStream ? stream.getTracks() : [];
  }
}
