import { cancelOnSignals } from "#cli/signals.ts";

// Before the rest is loaded, which takes a third of a second on a slow host: until then Ctrl-C would end the process as a
// signal does, with another exit status and no word of JSON.
const early = cancelOnSignals(
  () => undefined,
  () => process.exit(130),
);
const { enter } = await import("#cli/front-door.ts");
await enter(process.argv.slice(2), early);
