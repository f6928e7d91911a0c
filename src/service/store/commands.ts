import { cancel } from "./cancel.ts";
import { expire } from "./expire.ts";
import { census, hosts, setDrain } from "./hosts.ts";
import { addInput, beginInput, dropInput, dropUpload, inputOf } from "./inputs.ts";
import type { Ledger } from "./ledger.ts";
import { list } from "./list.ts";
import { holds, leasedInput, renew } from "./renew.ts";
import { makeRoom, retire, withFiles } from "./retire.ts";
import { settle } from "./settle.ts";
import { artifacts, events, glance, show } from "./show.ts";
import { submit } from "./submit.ts";
import { take } from "./take.ts";
import { addToken, revokeToken, tokens } from "./tokens.ts";

/**
 * Everything that the thread of the store can be asked; a key is the name of a method of `Store`. What commands take and
 * answer goes between threads as JSON text, so it is made of what JSON has.
 */
export const COMMANDS = {
  submit,
  list,
  show,
  glance,
  cancel,
  events,
  artifacts,
  take,
  renew,
  settle,
  holds,
  leasedInput,
  expire,
  hosts,
  census,
  setDrain,
  addToken,
  tokens,
  revokeToken,
  addInput,
  beginInput,
  dropInput,
  dropUpload,
  inputOf,
  retire,
  makeRoom,
  withFiles,
} as const;

/** The name of a command. */
export type CommandName = keyof typeof COMMANDS;

/** What a command is given, besides the ledger. */
export type CommandInput<K extends CommandName> =
  Parameters<(typeof COMMANDS)[K]> extends [Ledger, infer Input] ? Input : undefined;

/** What a command answers. */
export type CommandOutput<K extends CommandName> = ReturnType<(typeof COMMANDS)[K]>;
