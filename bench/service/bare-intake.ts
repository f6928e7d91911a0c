import { once } from "node:events";
import { appendFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { answerCalls } from "./helper.ts";

/**
 * The least that takes logs: bare node:http that appends each body to a file, with no token, no lease and no offset looked at.
 * A process of its own, see `helper.ts`.
 */
const BARE_INTAKE = { start } as const;

export type BareIntakeCalls = typeof BARE_INTAKE;

/** Begins to listen and returns the port. What comes for /NAME is appended to the file of that name in the folder. */
async function start({ folder }: { folder: string }): Promise<number> {
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", async () => {
      const name = (request.url ?? "").slice(1).split("?")[0] ?? "";
      await appendFile(join(folder, name), Buffer.concat(pieces));
      response.writeHead(204).end();
    });
  });
  server.listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

answerCalls(BARE_INTAKE);
