import type { HttpTarget } from "#lib/http-client.ts";

/** No user, query or fragment: a token is never part of an address. */
export const SERVICE_ADDRESS_PATTERN =
  "^(https?://[^\\s/?#@\\p{Cc}]{1,300}(/[^\\s?#@\\p{Cc}]{0,300})?|unix:/[^\\p{Cc}\\p{Cs}]{1,100})$";

export const SERVICE_ADDRESS_ALLOWED =
  "must be https://HOST, http://HOST or unix:/PATH, with a port if need be, such as https://jobs.example:8420";

const SOCKET = "unix:";

/** The server behind `https://jobs.example:8420` or `unix:/run/jobs.sock`; undefined when the text is no such address. */
export function parseServiceAddress(text: string): HttpTarget | undefined {
  if (!new RegExp(SERVICE_ADDRESS_PATTERN, "u").test(text)) return undefined;
  if (text.startsWith(SOCKET))
    return { url: new URL("http://localhost"), socketPath: text.slice(SOCKET.length) };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url === undefined || url.hostname === "" ? undefined : { url };
}
