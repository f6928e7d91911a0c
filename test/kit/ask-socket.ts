import { request } from "node:http";
import { text } from "node:stream/consumers";

/** Asks a daemon on its own host; the answer is JSON. */
export async function askSocket(
  socketPath: string,
  [method, path]: readonly [method: string, path: string],
  body?: string,
): Promise<{ status: number; json: unknown }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; json: unknown }>();
  const asking = request({ socketPath, method, path, agent: false }, (answer) => {
    text(answer).then(
      (got) => resolve({ status: answer.statusCode ?? 0, json: JSON.parse(got) }),
      reject,
    );
  });
  asking.on("error", reject);
  asking.end(body);
  return await promise;
}
