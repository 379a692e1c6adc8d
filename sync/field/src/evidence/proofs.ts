// What a device signs besides its journal: that it holds its key (docs/protocol.md §4.2).
import type { Bytes } from "./bytes";
import { dump } from "./canonical";
import { preAuthenticationEncoding } from "./line";

/** That it holds the key and means this code. */
export function enrolmentProof(code: string, device: string, keyId: string): Bytes {
  const payload = dump({ code, device, key_id: keyId });
  return preAuthenticationEncoding("application/vnd.liuhen.enrolment+json", payload);
}

/** To get a token of the server named `origin`. */
export function tokenProof(nonce: string, keyId: string, origin: string): Bytes {
  const payload = dump({ nonce, key_id: keyId, origin });
  return preAuthenticationEncoding("application/vnd.liuhen.token+json", payload);
}
