import { access, constants, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A file system in memory, so that no disk is measured by accident. */
const IN_MEMORY = "/dev/shm";

/** A private folder that is removed with the scope. */
export async function makeWorkplace(scope: AsyncDisposableStack): Promise<string> {
  const parent = await access(IN_MEMORY, constants.W_OK).then(
    () => IN_MEMORY,
    () => tmpdir(),
  );
  const folder = await mkdtemp(join(parent, "testbed-bench-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
