// A QR code, drawn dark on white whatever the theme: cameras read no other.
import { useRead } from "../parts";

const QUIET_ZONE = 4;

export function QrCode(props: { readonly text: string; readonly label: string }) {
  const rows = useRead(async () => {
    const { encodeQR } = await import("qr");
    return encodeQR(props.text, "raw", { ecc: "medium", border: QUIET_ZONE });
  }, [props.text]);
  if (rows === undefined) return null;
  const path = rows
    .flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")))
    .join("");
  return (
    <svg
      class="qr"
      viewBox={`0 0 ${rows.length} ${rows.length}`}
      role="img"
      aria-label={props.label}
      shape-rendering="crispEdges"
    >
      <rect width="100%" height="100%" fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
