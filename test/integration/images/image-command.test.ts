import { join } from "node:path";
import { expect, test } from "vitest";
import { command, PATH } from "#test/kit/command.ts";
import { ROOT } from "#test/kit/house.ts";
import { type ToyCatalogue, toyCatalogue } from "#test/kit/toy-recipes.ts";

function testbed(toys: ToyCatalogue, ...args: string[]) {
  const env = { PATH, TESTBED_STATE: toys.path, TESTBED_CATALOGUE: toys.recipes };
  return command(join(ROOT, "bin/testbed"), args, { env });
}

test("`testbed image build` tells its stages, then each image with its digest", async () => {
  await using toys = await toyCatalogue();
  await toys.recipe("toy");
  const built = await testbed(toys, "image", "build", "toy");
  expect(built).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/^toy:1 sha256:\w{64}\n$/),
  });
  expect(built.stderr).toMatch(/^image toy: toys \(0 s\)$/m);
  const again = await testbed(toys, "image", "build", "--json", "toy");
  expect(again.stderr).toBe("image toy: up to date\n");
  expect(JSON.parse(again.stdout)).toMatchObject({ images: [{ name: "toy", version: "1" }] });
});

test("`testbed image build` of an unknown name is a wrong command line", async () => {
  await using toys = await toyCatalogue();
  const wrong = await testbed(toys, "image", "build", "micr");
  expect(wrong).toMatchObject({ exitCode: 2, stdout: "" });
  expect(wrong.stderr).toContain("did you mean 'micro'?");
});

test("`testbed image build` of a recipe that fails is broken", async () => {
  await using toys = await toyCatalogue();
  await toys.recipe("toy", { script: "echo no mirror >&2; exit 1" });
  expect(await testbed(toys, "image", "build", "toy")).toMatchObject({
    exitCode: 3,
    stderr: expect.stringContaining("no mirror"),
  });
});
