import fc from "fast-check";
import { expect, test } from "vitest";
import { checkJobFileText } from "#job/job-file.ts";
import { JOB_FILE, JobFileError } from "#job/job-file-kind.ts";
import { decodeFileText } from "#lib/file-text.ts";

/** Whatever comes in, either a list of problems or the one typed error comes out, soon and printable. */
function survives(bytes: Uint8Array): void {
  const started = performance.now();
  try {
    const { problems } = checkJobFileText(
      "job.yaml",
      decodeFileText(JOB_FILE, "job.yaml", bytes),
      [],
    );
    if (problems.length > 0) throw new JobFileError("job.yaml", problems);
  } catch (error) {
    expect(error).toBeInstanceOf(JobFileError);
    expect((error as Error).message).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
  }
  expect(performance.now() - started).toBeLessThan(1000);
}

const encode = (text: string) => new TextEncoder().encode(text);

test("arbitrary bytes are a job or a job file error", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), survives), { numRuns: 300 });
});

test("arbitrary text of YAML's own characters is a job or a job file error", () => {
  const yamlish = fc.array(
    fc.constantFrom(
      ..."[]{}:,-?&*!|>'\"%@`#\n\t \\~.<0aé",
      "\n  ",
      "---\n",
      "...\n",
      "? ",
      "- ",
      ": ",
      "steps:",
      "image: ",
      "&a ",
      "*a",
      "!!int ",
      "\\ud800",
      "\u202e",
      "<<: ",
      "__proto__: ",
    ),
    { maxLength: 120 },
  );
  fc.assert(
    fc.property(yamlish, (parts) => survives(encode(parts.join("")))),
    { numRuns: 1000 },
  );
});

test("arbitrary structures under the known keys are a job or a job file error", () => {
  const keys = [
    "image",
    "resources",
    "timeout",
    "inputs",
    "env",
    "steps",
    "artifacts",
    "__proto__",
  ];
  const tree = fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), fc.jsonValue(), {
    maxKeys: 12,
  });
  fc.assert(
    fc.property(tree, (value) => survives(encode(JSON.stringify(value)))),
    { numRuns: 500 },
  );
});
