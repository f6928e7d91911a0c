import { makeParts, type Size, startBare } from "./bare-machine.ts";
import { serverOf } from "./bare-server.ts";
import { measureServer } from "./measure.ts";
import { micro } from "./micro.ts";
import { connectOurs } from "./our-connection.ts";
import type { PartOrder } from "./part.ts";
import { firstAnswerMs } from "./probe.ts";
import { preparation, type Server, type Sizes } from "./server.ts";
import { makeTap } from "./tap.ts";
import { makeWorkplace } from "./workplace.ts";

/** Few, since an emulated guest takes seconds for a few megabytes. */
const ROUNDS = 5;
const BUDGET_MS = 10_000;
const SIZES: Sizes = { bulkMiB: 16, files: 200, fileBytes: 4096, lines: 50_000 };
/** Emulated, whatever the host can: what is measured here is a slow other side. */
const SIZE: Size = { cpus: 1, memoryMiB: 256, acceleration: "tcg" };

/** The same over SSH, into a machine. It runs under QEMU alone, since libvirt has no part in it. */
export async function measureGuest(order: PartOrder): Promise<void> {
  const { pairs, say, onFinding, signal } = order;
  await using scope = new AsyncDisposableStack();
  const folder = await makeWorkplace(scope);
  const parts = await makeParts(folder, await micro(order), signal);
  const tap = await makeTap(scope, signal);
  say("booting a machine");
  scope.use(startBare(parts, SIZE, tap));
  await firstAnswerMs(tap.address, 22, signal);
  const server = await serverOf(parts, tap.address, SIZES);
  await prepare(server, signal);
  // No targets: a guest's own forks and ciphers, emulated, are the floor under all sides.
  const hasTargets = false;
  await measureServer({
    server,
    rounds: pairs ?? ROUNDS,
    budgetMs: pairs === undefined ? BUDGET_MS : undefined,
    hasTargets,
    say,
    onFinding,
    signal,
  });
}

async function prepare(server: Server, signal: AbortSignal): Promise<void> {
  using connection = await connectOurs(server, signal);
  const { exitCode, stderr } = await connection.ask(preparation(server), "", signal);
  if (exitCode !== 0) throw new Error(`the guest was not prepared: ${stderr}`);
}
