import { join } from "node:path";
import { ask } from "#cli/client/ask.ts";
import { serviceHere } from "#cli/client/service.ts";
import { explained } from "#cli/client/service-error.ts";
import { UsageError } from "#cli/exit-code.ts";
import type { ServiceAccess } from "#config/contexts.ts";
import { NoAnswer } from "#lib/http-client.ts";
import { Refused } from "#protocol/refused.ts";
import { ServiceClient } from "#protocol/service-client.ts";
import type { Role, TokenView } from "#protocol/token.ts";
import { newToken } from "#service/api/new-token.ts";
import { StoreError } from "#service/ports.ts";
import { SqliteStore } from "#service/store/sqlite-store.ts";
import { CLOCK, LEASE_SECONDS, SERVICE_NAMES } from "./service-state.ts";

/** Who hands out tokens: a service that runs, or its database when it does not. */
export type TokenDesk = AsyncDisposable & {
  create(name: string, role: Role): Promise<{ readonly id: string; readonly secret: string }>;
  list(): Promise<readonly TokenView[]>;
  /** False when there is no such token. */
  revoke(id: string): Promise<boolean>;
};

/** The desk of the service whose state is in `folder`. Throws `UsageError` when there is none, or when it is not ours to use. */
export async function openTokenDesk(folder: string): Promise<TokenDesk> {
  const here = await serviceHere(folder);
  return here !== undefined && (await isAlive(here))
    ? deskOfService(here)
    : await deskOfStore(folder);
}

/** The desk of a service that is asked over the wire, with an admin's token. */
export function deskOfService(of: ServiceAccess): TokenDesk {
  const client = new ServiceClient(of.target, of.token);
  const service = { client, access: of };
  const explaining = async <T>(work: Promise<T>): Promise<T> => {
    return await work.catch((error: unknown) => {
      throw explained(error, of);
    });
  };
  return {
    create: (name, role) => explaining(ask(service, "createToken", { json: { name, role } })),
    list: async () => (await explaining(ask(service, "listTokens", {}))).tokens,
    async revoke(token) {
      const { signal } = new AbortController();
      const revoking = client.json("revokeToken", { path: { token }, signal }).then(() => true);
      return await explaining(
        revoking.catch((error: unknown) => {
          if (error instanceof Refused && error.slug === "not-found") return false;
          throw error;
        }),
      );
    },
    [Symbol.asyncDispose]: async () => client[Symbol.dispose](),
  };
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

/** A secret may be left of a service that was killed. */
async function isAlive({ target, token }: ServiceAccess): Promise<boolean> {
  using client = new ServiceClient(target, token);
  const { signal } = new AbortController();
  try {
    (await client.bytes("isAlive", { signal })).body.resume();
    return true;
  } catch (error) {
    if (error instanceof NoAnswer || error instanceof Refused) return false;
    throw error;
  }
}
