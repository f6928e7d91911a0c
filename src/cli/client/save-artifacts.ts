import { EXIT_CODES } from "#cli/exit-code.ts";
import { printAnswer } from "#cli/print-answer.ts";
import { openScreen } from "#cli/run/open-screen.ts";
import { cancelOnSignals } from "#cli/signals.ts";
import type { Config } from "#config/config.ts";
import type { AccessWishes } from "#config/contexts.ts";
import { Ended } from "#job/verdict.ts";
import { printable } from "#lib/printable.ts";
import { bytesInWords } from "#lib/words.ts";
import { type Fetched, type FetchOrder, fetchArtifacts } from "./fetch-artifacts.ts";
import { JobTeller } from "./job-teller.ts";
import { Patience } from "./patience.ts";
import { withService } from "./service.ts";

/** What somebody asks for who types `testbed artifacts ID --to DIR`. */
export type SaveOrder = Omit<FetchOrder, "artifacts"> & {
  /** Undefined: the last one. */
  readonly attempt: number | undefined;
  readonly json: boolean;
};

/** One `testbed artifacts --to`. Returns the exit status. */
export async function saveArtifacts(
  { attempt, json, ...order }: SaveOrder,
  wishes: AccessWishes,
  config: Config,
): Promise<number> {
  const { screen } = openScreen(config, true);
  const stop = new AbortController();
  using signals = cancelOnSignals(
    () => stop.abort(signals.signal.reason),
    () => process.exit(EXIT_CODES.cancelled),
  );
  using teller = new JobTeller(screen);
  try {
    const { signal } = stop;
    const saved = await withService(wishes, async ({ client }) => {
      const patience = new Patience(teller, signal);
      const path = { job: order.job };
      const query = attempt === undefined ? {} : { attempt };
      const list = await patience.until(() =>
        client.json("listArtifacts", { path, query, signal }),
      );
      const artifacts = list?.artifacts ?? [];
      const size = bytesInWords(artifacts.reduce((sum, { bytes }) => sum + bytes, 0));
      let cameBytes = 0;
      const fetched = await fetchArtifacts(
        { client, patience, signal },
        { ...order, artifacts },
        (bytes) => {
          cameBytes += bytes;
          teller.do(`fetching artifacts, ${bytesInWords(cameBytes)} of ${size}`);
        },
      );
      return { attempt: list?.attempt, artifacts: fetched };
    });
    teller[Symbol.dispose]();
    screen.line(words(saved.artifacts, order.folder), "good");
    await screen.close();
    const { folder } = order;
    if (json) await printAnswer(`${JSON.stringify({ ...saved, folder }, null, 2)}\n`);
    return EXIT_CODES.passed;
  } catch (error) {
    teller[Symbol.dispose]();
    await screen.close();
    const ended = Ended.in(error);
    if (ended === undefined) throw error;
    throw new Ended(ended.kind, `${ended.message}; the same command goes on where it ended`);
  }
}

function words(fetched: readonly Fetched[], folder: string): string {
  const size = bytesInWords(fetched.reduce((sum, { bytes }) => sum + bytes, 0));
  const there = fetched.filter(({ state }) => state === "there").length;
  const before = there === 0 ? "" : `, ${there === fetched.length ? "all" : there} there before`;
  return `artifacts: ${fetched.length}, ${size}, in ${printable(folder, 1000)}${before}`;
}
