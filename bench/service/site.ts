import type { NetConnectOpts } from "node:net";

/** Where a service is, and the tokens of those who ask. */
export type Site = {
  readonly to: NetConnectOpts;
  readonly submitters: readonly string[];
  readonly hosts: readonly { readonly name: string; readonly token: string }[];
};
