import type { NetConnectOpts } from "node:net";
import { Line, unexpected } from "./line.ts";

/** A log that grows: whose token, and where it is appended to. */
export type GrowingLog = { readonly token: string; readonly path: string };

const PIECE = Buffer.alloc(64 * 1024, "a line of a log, as long as lines are\n");

/** Appends `pieces` pieces of 64 KiB to each of these empty logs, all logs at once, and returns the milliseconds that it took. */
export async function intake({
  to,
  logs,
  pieces,
}: {
  to: NetConnectOpts;
  logs: readonly GrowingLog[];
  pieces: number;
}): Promise<number> {
  using scope = new DisposableStack();
  const lines = await Promise.all(logs.map(({ token }) => Line.open(to, token)));
  for (const line of lines) scope.use(line);
  const startedMs = performance.now();
  await Promise.all(
    lines.map(async (line, at) => {
      for (let piece = 0; piece < pieces; piece += 1) {
        const path = `${logs[at]?.path}?offset=${piece * PIECE.length}`;
        const request = {
          method: "PUT",
          path,
          type: "application/octet-stream",
          body: PIECE,
        } as const;
        const answer = await line.ask(request);
        if (answer.status !== 204) throw unexpected(request, answer);
      }
    }),
  );
  return performance.now() - startedMs;
}
