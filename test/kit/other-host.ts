import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { TEST_STATE } from "./house.ts";
import { forgetNetwork } from "./slot-networks.ts";
import { testEnvironment } from "./testbed.ts";

/** An installation of its own beside the tests' own: a host that has no images yet. Its machines are the caller's to end. */
export type OtherHost = AsyncDisposable & {
  /** What its commands are given. */
  readonly env: Readonly<Record<string, string>>;
  readonly state: string;
};

/** Disposing forgets the host: its images, and the network of its only slot. */
export async function otherHost(more: Readonly<Record<string, string>> = {}): Promise<OtherHost> {
  const state = await mkdtemp(`${TEST_STATE}-elsewhere-`);
  // mkdtemp makes it 0700, and QEMU runs as another user.
  await chmod(state, 0o711);
  return {
    state,
    env: { ...testEnvironment(), ...more, TESTBED_STATE: state },
    [Symbol.asyncDispose]: async () => {
      const installation = await readFile(join(state, "installation"), "utf8").catch(() => "");
      if (installation !== "") await forgetNetwork(installation.trim(), 0);
      await rm(state, { recursive: true, force: true });
    },
  };
}
