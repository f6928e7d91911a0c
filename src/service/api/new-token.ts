import { randomBytes } from "node:crypto";
import { compileSchema } from "#lib/validate.ts";
import type { Role } from "#protocol/token.ts";
import { hostName } from "#protocol/values.ts";
import type { Store } from "#service/ports.ts";
import { hashOf } from "./gate.ts";

const checkHostName = compileSchema(hostName);

/** A token that was made, or what is wrong with its name. */
type Made =
  | { readonly id: string; readonly secret: string; readonly wrong?: undefined }
  | { readonly wrong: string };

/** A new secret: 256 random bits behind a word by which scanners of leaks know it. */
export function newSecret(): string {
  return `testbed_${randomBytes(32).toString("base64url")}`;
}

/** Makes a token; its secret is in the answer and nowhere else. The name of a host's token must be a host's name. */
export async function newToken(
  store: Pick<Store, "addToken">,
  { name, role }: { readonly name: string; readonly role: Role },
): Promise<Made> {
  const [wrong] = role === "host" ? checkHostName(name) : [];
  if (wrong !== undefined) return { wrong: wrong.says.join("; ") };
  const secret = newSecret();
  return { id: await store.addToken({ name, role, hash: hashOf(secret) }), secret };
}
