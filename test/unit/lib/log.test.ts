import { expect, test } from "vitest";
import { errorFields } from "#lib/error-fields.ts";
import { lineIn } from "#lib/log-line.ts";

const LINE = `{"level":"warn","time":"2030-01-02T03:04:05.678Z","host":"a\\u001b[31m\u009b\u202e","msg":"said"}\n`;

test("an error is kept with its causes, bounded, and without its evidence", () => {
  const root = Object.assign(new Error("disk full"), { code: "ENOSPC", evidence: "s3cret" });
  const middle = new Error("x".repeat(5000), { cause: root });
  const fields = errorFields(new TypeError("no log", { cause: middle }));
  expect(fields).toMatchObject({ name: "TypeError", message: "no log" });
  expect(fields.causes?.map(({ code }) => code)).toEqual([undefined, "ENOSPC"]);
  expect(fields.causes?.[0]?.message).toHaveLength(2001);
  expect(JSON.stringify(fields)).not.toContain("s3cret");
  expect(errorFields("words")).toEqual({ name: "string", message: "words" });
});

test("causes in a circle and errors of many errors come to an end", () => {
  const [a, b] = [new Error("a"), new Error("b")];
  a.cause = b;
  b.cause = a;
  expect(errorFields(a).causes).toHaveLength(1);
  const many = Array.from({ length: 100 }, (_, at) => new Error(String(at)));
  expect(errorFields(new AggregateError(many)).causes).toHaveLength(8);
  const both = errorFields(new SuppressedError(a, b, "both"));
  expect(both.causes?.map(({ message }) => message)).toEqual(["a", "b"]);
});

test("a line for programs is JSON in which nothing invisible is left", () => {
  const line = lineIn("json", LINE);
  expect(line).toMatch(/^\{.*\}\n$/);
  expect(line.trimEnd()).not.toMatch(/[^\x20-\x7e]/);
  expect(JSON.parse(line)).toEqual(JSON.parse(LINE));
  const tag = lineIn("json", `{"level":"info","time":"","msg":"\u{e0041}"}`);
  expect((JSON.parse(tag) as { msg: string }).msg).toBe("\u{e0041}");
});

test("a line for journald begins with its priority", () => {
  expect(lineIn("journal", LINE)).toMatch(/^<4>\{/);
  expect(lineIn("journal", LINE.replace("warn", "error"))).toMatch(/^<3>\{/);
});

test("a line for people has words, and neither moves the cursor nor breaks", () => {
  const line = lineIn("words", LINE);
  expect(line).toBe("03:04:05 warn  said host=a\\u{1b}[31m\\u{9b}\\u{202e}\n");
  expect(lineIn("coloured-words", LINE)).toContain("03:04:05 \u001b[33mwarn \u001b[0m said");
  const bug = {
    level: "error",
    time: "2030-01-02T03:04:05.678Z",
    msg: "bug",
    error: { message: "m", stack: "E: m\n  at a\n  at b" },
  };
  expect(lineIn("words", JSON.stringify(bug))).toBe("03:04:05 error bug error=m\n  at a\n  at b\n");
});

test("a line too long for any reader is cut, and still JSON", () => {
  const line = lineIn(
    "json",
    `{"level":"info","time":"t","x":"${"y".repeat(40_000)}","msg":"m"}\n`,
  );
  expect(JSON.parse(line)).toEqual({ level: "info", time: "t", msg: "m", cutCharacters: 40_045 });
});
