import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Role, TokenView } from "#protocol/token.ts";
import { newToken } from "#service/api/new-token.ts";
import { StoreError } from "#service/ports.ts";
import { SqliteStore } from "#service/store/sqlite-store.ts";
import { UsageError } from "./exit-code.ts";
import { CLOCK, LEASE_SECONDS, SERVICE_NAMES } from "./service-state.ts";

/** Who hands out tokens: the service that runs, or its database when it does not. */
export type TokenDesk = AsyncDisposable & {
  create(name: string, role: Role): Promise<{ readonly id: string; readonly secret: string }>;
  list(): Promise<readonly TokenView[]>;
  /** False when there is no such token. */
  revoke(id: string): Promise<boolean>;
};

const ASK_MS = 10_000;

/** The desk of the service whose state is in `folder`. Throws `UsageError` when there is none, or when it is not ours to use. */
export async function openTokenDesk(folder: string): Promise<TokenDesk> {
  const desk = await deskOfService(folder);
  return desk ?? (await deskOfStore(folder));
}

async function deskOfStore(folder: string): Promise<TokenDesk> {
  const path = join(folder, SERVICE_NAMES.database);
  const open = () => SqliteStore.open({ path, clock: CLOCK, leaseSeconds: LEASE_SECONDS });
  const store = await open().catch((error: unknown) => {
    if (error instanceof StoreError)
      throw new UsageError(`${error.message}; is the folder right (--state), and yours?`);
    throw error;
  });
  return {
    async create(name, role) {
      const made = await newToken(store, { name, role });
      if (made.wrong !== undefined) throw new UsageError(`the name ${made.wrong}`);
      return made;
    },
    list: () => store.tokens(),
    revoke: (id) => store.revokeToken(id),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

async function deskOfService(folder: string): Promise<TokenDesk | undefined> {
  const socketPath = join(folder, SERVICE_NAMES.socket);
  const secret = await readFile(join(folder, SERVICE_NAMES.localSecret), "utf8").catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw new UsageError(error.message);
    },
  );
  if (secret === undefined) return undefined;
  const ask = (method: string, path: string, body?: object) =>
    askSocket({ socketPath, secret: secret.trim(), method, path, body });
  const isThere = await ask("GET", "/healthz").catch(() => undefined);
  if (isThere === undefined) return undefined;
  return {
    async create(name, role) {
      const { json } = await ask("POST", "/v1/tokens", { name, role });
      return json as { id: string; secret: string };
    },
    async list() {
      const { json } = await ask("GET", "/v1/tokens");
      return (json as { tokens: readonly TokenView[] }).tokens;
    },
    async revoke(id) {
      const { status } = await ask("DELETE", `/v1/tokens/${id}`);
      return status !== 404;
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

type Question = {
  readonly socketPath: string;
  readonly secret: string;
  readonly method: string;
  readonly path: string;
  readonly body: object | undefined;
};

/** One request; a refusal but for 404 throws `UsageError` with what the service said. */
async function askSocket({ socketPath, secret, method, path, body }: Question) {
  const sent = body === undefined ? "" : JSON.stringify(body);
  const headers = {
    authorization: `Bearer ${secret}`,
    ...(sent === ""
      ? {}
      : { "content-type": "application/json", "content-length": Buffer.byteLength(sent) }),
  };
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const signal = AbortSignal.timeout(ASK_MS);
  const asking = request({ socketPath, method, path, headers, signal, agent: false }, (answer) => {
    text(answer).then((got) => resolve({ status: answer.statusCode ?? 0, body: got }), reject);
  });
  asking.on("error", reject);
  asking.end(sent);
  const answer = await promise;
  const isJson = answer.body.startsWith("{");
  const json = isJson ? (JSON.parse(answer.body) as { detail?: string; title?: string }) : {};
  if (answer.status >= 400 && answer.status !== 404)
    throw new UsageError(`the service refused: ${json.detail ?? json.title ?? answer.status}`);
  return { status: answer.status, json: json as unknown };
}
