import { expect, test } from "vitest";
import { asksForJson } from "#cli/json-asked.ts";
import { commandLine } from "#cli/program.ts";

test.each([
  ["run --json job.yaml", true],
  ["run job.yaml --json", true],
  ["run --accel nonsense --set x --json job.yaml", true],
  ["run --nonsense --json", true],
  ["run --json --results", true],
  ["image build micro --json", true],
  ["doctor --json", true],
  ["rnu --json job.yaml", true],
  ["--json", true],
  ["run job.yaml", false],
  ["run --results --json job.yaml", false],
  ["run --set=--json job.yaml", false],
  ["run -- --json", false],
  ["ssh machine -- program --json", false],
  ["schema --json job", false],
  ["", false],
])("'testbed %s' asks for JSON: %s", async (line, asked) => {
  const args = line.split(" ").filter((word) => word !== "");
  expect(asksForJson(await commandLine(args, "0.0.0"), args)).toBe(asked);
});
