import type { Static } from "typebox";
import {
  type HttpAnswer,
  type HttpBody,
  HttpClient,
  type HttpTarget,
  NoAnswer,
} from "#lib/http-client.ts";
import { readRefusal } from "./refused.ts";
import type { Route } from "./route.ts";
import { ROUTES } from "./routes.ts";

/** The name of something that can be asked. */
export type RouteName = keyof typeof ROUTES;

type Of<N extends RouteName> = (typeof ROUTES)[N];
type Parameter<N extends RouteName, K extends string> =
  Of<N> extends { parameters: Record<K, infer S extends object> }
    ? { [Key in K]: Static<S> }
    : unknown;
type OptionalParameter<N extends RouteName, K extends string> =
  Of<N> extends { parameters: Record<K, infer S extends object> }
    ? { [Key in K]?: Static<S> }
    : unknown;
type JsonBody<N extends RouteName> =
  Of<N> extends { body: { type: "application/json"; schema: infer S extends object } }
    ? { json: Static<S> }
    : unknown;
type BytesBody<N extends RouteName> =
  Of<N> extends { body: { type: "application/octet-stream" } } ? { bytes: HttpBody } : unknown;

/** What a question is made of, as its route says. */
export type Question<N extends RouteName> = Readonly<
  Parameter<N, "path"> &
    OptionalParameter<N, "query"> &
    OptionalParameter<N, "headers"> &
    JsonBody<N> &
    BytesBody<N>
> & {
  readonly signal: AbortSignal;
  /** How long the service may hold the answer back on purpose; a long poll. */
  readonly waitMs?: number;
};

type AnswerSchema<A> = A extends { type: "application/json"; schema: infer S extends object }
  ? Static<S>
  : never;

/** The JSON that a route answers with. */
export type JsonOf<N extends RouteName> = AnswerSchema<Of<N>["answers"][keyof Of<N>["answers"]]>;

/** How much of something the service has. */
export type Have = { readonly haveBytes: number; readonly isComplete: boolean };

/** A service that says nothing for so long, beyond what it was asked to wait, is not there. */
const ANSWER_MS = 30_000;

/** Bytes that come now and then are life, but no JSON of ours takes so long on the slowest line. */
const JSON_MS = 120_000;

/** Beyond any list of ours. */
const JSON_BYTES_MAX = 32 * 2 ** 20;

/**
 * The job service as its clients see it: what can be asked is `ROUTES`, in types, too. Every call throws `Refused` when
 * the service says no, `NoAnswer` when it says nothing, or the signal's reason.
 */
export class ServiceClient implements Disposable {
  readonly #http: HttpClient;
  readonly #token: string;
  readonly #jsonMs: number;

  /** `jsonMs`: how long an answer's JSON may take, from its headers to its end. */
  constructor(target: HttpTarget, token: string, jsonMs = JSON_MS) {
    this.#http = new HttpClient(target);
    this.#token = token;
    this.#jsonMs = jsonMs;
  }

  /** The answer's JSON; undefined when the service has nothing to say (204). */
  async json<N extends RouteName>(name: N, question: Question<N>): Promise<JsonOf<N> | undefined> {
    const answer = await this.#ask(name, question);
    if (answer.status !== 204) return parse(await textOf(answer, this.#jsonMs)) as JsonOf<N>;
    answer.body.resume();
    return undefined;
  }

  /** How much there is now, after a HEAD or a PUT of bytes. */
  async have<N extends RouteName>(name: N, question: Question<N>): Promise<Have> {
    const { headers, body } = await this.#ask(name, question);
    body.resume();
    const told = headers["testbed-have-bytes"];
    const haveBytes = typeof told === "string" && /^[0-9]{1,16}$/.test(told) ? Number(told) : -1;
    if (haveBytes < 0)
      throw new NoAnswer("what answers is no job service: it does not say how much it has");
    return { haveBytes, isComplete: headers["testbed-complete"] === "true" };
  }

  /** The answer with its bytes still to come; they must be read to their end or destroyed. */
  async bytes<N extends RouteName>(name: N, question: Question<N>): Promise<HttpAnswer> {
    return await this.#ask(name, question);
  }

  /** The same as server-sent events, to be parsed by the caller. */
  async events<N extends RouteName>(name: N, question: Question<N>): Promise<HttpAnswer> {
    return await this.#ask(name, question, "text/event-stream");
  }

  [Symbol.dispose](): void {
    this.#http[Symbol.dispose]();
  }

  async #ask(
    name: RouteName,
    question: Question<RouteName>,
    accept = "application/json",
  ): Promise<HttpAnswer> {
    const route: Route = ROUTES[name];
    const { path, query, headers, json, bytes, signal, waitMs } = question as Loose;
    const body = json === undefined ? bytes : JSON.stringify(json);
    const answer = await this.#http.ask({
      method: route.method,
      path: `${fill(route.path, path)}${queryText(query)}`,
      headers: {
        ...stringsOf(headers),
        accept,
        authorization: `Bearer ${this.#token}`,
        ...(route.body === undefined ? {} : { "content-type": route.body.type }),
      },
      ...(body === undefined ? {} : { body }),
      answerMs: ANSWER_MS + (waitMs ?? 0),
      signal,
    });
    if (answer.status < 300) return answer;
    throw readRefusal(answer, route.method === "HEAD" ? "" : await textOf(answer, this.#jsonMs));
  }
}

/** A question of whatever route, as the code that builds requests sees it. */
type Loose = {
  readonly path?: Parameters;
  readonly query?: Parameters;
  readonly headers?: Parameters;
  readonly json?: unknown;
  readonly bytes?: HttpBody;
  readonly signal: AbortSignal;
  readonly waitMs?: number;
};

type Parameters = Readonly<Record<string, string | number | undefined>>;

function fill(template: string, path: Parameters = {}): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, key: string) =>
    encodeURIComponent(String(path[key])),
  );
}

function queryText(query: Parameters = {}): string {
  const text = new URLSearchParams(stringsOf(query)).toString();
  return text === "" ? "" : `?${text}`;
}

function stringsOf(parameters: Parameters = {}): Record<string, string> {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([key, value]) => [key, String(value)]));
}

async function textOf({ body }: HttpAnswer, limitMs: number): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  const late = () => body.destroy(new Error(`it took longer than ${limitMs / 1000} s`));
  const limit = setTimeout(late, limitMs);
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      length += piece.length;
      if (length > JSON_BYTES_MAX) throw new Error(`it is longer than ${JSON_BYTES_MAX} bytes`);
      pieces.push(piece);
    }
  } catch (cause) {
    throw new NoAnswer(`the answer did not arrive whole: ${(cause as Error).message}`, { cause });
  } finally {
    clearTimeout(limit);
  }
  return Buffer.concat(pieces).toString("utf8");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new NoAnswer("what answers is no job service: it did not send JSON", { cause });
  }
}
