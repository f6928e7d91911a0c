import type { Store } from "#service/ports.ts";
import type { HandlersOf } from "./ask.ts";
import { newToken } from "./new-token.ts";
import { openApi } from "./open-api.ts";
import { invalid } from "./read-request.ts";
import { Refusal } from "./refusal.ts";
import type { Rooms } from "./rooms.ts";

/** What admins ask. */
export function adminHandlers(
  rooms: Rooms,
): HandlersOf<
  "listHosts" | "drainHost" | "resumeHost" | "createToken" | "listTokens" | "revokeToken"
> {
  const { store, waiters, gate } = rooms;
  return {
    async listHosts() {
      return { status: 200, json: { hosts: await store.hosts() } };
    },

    async drainHost({ token, path: { host }, body }) {
      const view = await drained(store, host, body.why ?? `drained by ${token.name}`);
      return { status: 200, json: view };
    },

    async resumeHost({ path: { host } }) {
      const view = await drained(store, host, undefined);
      waiters.wakeHost(host);
      return { status: 200, json: view };
    },

    async createToken({ body: { name, role } }) {
      const { wrong, ...token } = await newToken(store, { name, role });
      if (wrong !== undefined) throw invalid("body", [{ path: ["name"], says: [wrong] }]);
      return { status: 201, json: token };
    },

    async listTokens() {
      return { status: 200, json: { tokens: await store.tokens() } };
    },

    async revokeToken({ path: { token } }) {
      if (!(await store.revokeToken(token))) throw new Refusal("not-found");
      gate.revoked(token);
      return { status: 204 };
    },
  };
}

async function drained(store: Store, host: string, why: string | undefined) {
  const view = await store.setDrain(host, why);
  if (view === undefined) throw new Refusal("not-found", { detail: `no host ${host}` });
  return view;
}

const READY_MS = 2000;
const NO_JOB = "0".repeat(16);

/** What says how the service is. */
export function healthHandlers(
  rooms: Rooms,
): HandlersOf<"isAlive" | "isReady" | "readMetrics" | "readOpenApi"> {
  const { store, space, metrics } = rooms;
  return {
    async isAlive() {
      return { status: 200, text: "alive\n" };
    },

    async isReady() {
      if (!(await space.hasRoom())) throw new Refusal("full");
      const late = AbortSignal.timeout(READY_MS);
      const { promise, reject } = Promise.withResolvers<never>();
      late.addEventListener("abort", () =>
        reject(new Refusal("unavailable", { detail: "the store does not answer" })),
      );
      await Promise.race([store.show(NO_JOB), promise]);
      return { status: 200, text: "ready\n" };
    },

    async readMetrics() {
      const type = "text/plain; version=0.0.4; charset=utf-8";
      return { status: 200, type, text: await metrics.text(rooms) };
    },

    async readOpenApi() {
      return { status: 200, json: openApi(rooms.version) };
    },
  };
}
