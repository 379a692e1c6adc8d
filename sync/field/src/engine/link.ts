// One request to our server: an answer, or a failure that says what kind of trouble it is.
import { isObject } from "../evidence/canonical";
import { Failure } from "./failures";

export const API = "/api/v1";
const TIMEOUT_MS = 30_000;

export interface Request {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: BodyInit;
  readonly timeoutMs?: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export type Members = Readonly<Record<string, unknown>>;

/** Send once. Any answer of the server's is an answer; none, or one of somebody else's, is not. */
export async function send(method: string, path: string, request: Request = {}): Promise<Answer> {
  const headers = { "Accept-Language": "zh", ...request.headers };
  try {
    const answer = await fetch(path, {
      method,
      headers,
      // Another site's or a person's cookie has no place here, and no cache may answer.
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(request.timeoutMs ?? TIMEOUT_MS),
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  } catch (error) {
    throw new Failure("link.unreachable", String(error), { cause: error });
  }
}

/** Refuse what is not one of the statuses that were asked for. */
export function expect(answer: Answer, ...statuses: readonly number[]): Answer {
  if (statuses.includes(answer.status)) return answer;
  const { status } = answer;
  const type = answer.headers.get("Content-Type") ?? "";
  const isOurs = type.startsWith("application/problem+json");
  const problem = isOurs ? String(parsed(answer)["code"] ?? "") : "";
  if (status === 429 || status >= 500) {
    throw new Failure("link.unavailable", problem, { status, problem });
  }
  if (!isOurs && status !== 404) {
    throw new Failure("link.captive_portal", `status ${status}`, { status });
  }
  throw new Failure("link.refused", problem || `status ${status}`, { status, problem });
}

/** The members of an answer's JSON object. */
export function parsed(answer: Answer): Members {
  let value: unknown;
  try {
    value = JSON.parse(answer.text);
  } catch (error) {
    throw new Failure("link.captive_portal", "no JSON", { cause: error });
  }
  if (!isObject(value)) throw new Failure("link.captive_portal", "no object");
  return value;
}

export function text(members: Members, name: string): string {
  const value = members[name];
  if (typeof value !== "string") throw foreign(name);
  return value;
}

export function whole(members: Members, name: string): number {
  const value = members[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw foreign(name);
  return value;
}

export function truth(members: Members, name: string): boolean {
  const value = members[name];
  if (typeof value !== "boolean") throw foreign(name);
  return value;
}

export function texts(members: Members, name: string): string[] {
  return list(members, name).map((one) => {
    if (typeof one !== "string") throw foreign(name);
    return one;
  });
}

export function objects(members: Members, name: string): Members[] {
  return list(members, name).map((one) => {
    if (!isObject(one)) throw foreign(name);
    return one;
  });
}

export function object(members: Members, name: string): Members {
  const value = members[name];
  if (!isObject(value)) throw foreign(name);
  return value;
}

function list(members: Members, name: string): readonly unknown[] {
  const value = members[name];
  if (!Array.isArray(value)) throw foreign(name);
  return value;
}

/** A hotel's network answers 200 to everything: what is not of our form is not our server's. */
function foreign(name: string): Failure {
  return new Failure("link.captive_portal", `no ${name}`);
}
