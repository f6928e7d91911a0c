import { expect, test } from "vitest";
import { explained, ForeignAnswer, ServiceError } from "#cli/client/service-error.ts";
import { errorDocument, explainError } from "#cli/exit-code.ts";
import type { ServiceAccess } from "#config/contexts.ts";
import { NoAnswer } from "#lib/http-client.ts";
import { PROBLEMS, type ProblemSlug } from "#protocol/problem.ts";
import { Refused } from "#protocol/refused.ts";

const ACCESS: ServiceAccess = {
  context: "lab",
  service: "https://jobs.example",
  target: { url: new URL("https://jobs.example") },
  token: "testbed_secret",
  tokenFrom: "/home/ada/lab.token",
};

/** Who must do something: the one who asked, or the service's people. */
const MISTAKES: readonly ProblemSlug[] = [
  "malformed",
  "unauthenticated",
  "forbidden",
  "not-found",
  "other-version",
  "gone",
  "too-large",
  "wrong-range",
  "invalid",
  "key-reused",
];

test.each(Object.keys(PROBLEMS) as ProblemSlug[])(
  "%s has an exit status and says where",
  (slug) => {
    const { status, title } = PROBLEMS[slug];
    const error = explained(new Refused(status, title, { slug }), ACCESS) as ServiceError;
    const exitCode = MISTAKES.includes(slug) ? 2 : 3;
    expect(explainError(error)).toMatchObject({ exitCode, words: expect.stringContaining(title) });
    expect(error.message).toContain("https://jobs.example (context lab)");
    expect(error.message).not.toContain(ACCESS.token);
    expect(errorDocument(error)).toMatchObject({ error: { exitCode, problem: slug } });
  },
);

test("no answer, and an answer of somebody else's, are the service's trouble", () => {
  for (const cause of [new NoAnswer("refuses"), new ForeignAnswer("what?"), new Refused(404, "x")])
    expect(explained(cause, ACCESS)).toMatchObject({
      exitCode: 3,
      problem: undefined,
      message: expect.stringContaining("context lab"),
    });
});

test("what is no matter of the service's stays what it is", () => {
  const error = new Error("else");
  expect(explained(error, ACCESS)).toBe(error);
  expect(new ServiceError("x", { exitCode: 2, cause: error }).problem).toBeUndefined();
});
