import { expect, test } from "vitest";
import { unknownImage } from "#host/images/reference.ts";
import { parseImageReference } from "#job/image-reference.ts";

test("a reference is a name, perhaps with a version or a digest", () => {
  const digest = "0123456789abcdef".repeat(4);
  expect(parseImageReference("debian-12")).toEqual({ name: "debian-12" });
  expect(parseImageReference("debian-12:1.2_3")).toEqual({ name: "debian-12", version: "1.2_3" });
  expect(parseImageReference(`debian-12@sha256:${digest}`)).toEqual({ name: "debian-12", digest });
});

test.each(["", " ", "a b", "A", "a:", "a:-1", "a@sha256:0", "a:1@sha256:0", "a/b", ".", "a\n"])(
  "%j is no reference",
  (text) => {
    expect(parseImageReference(text)).toBeUndefined();
  },
);

test("a misspelt name is answered with the one that was meant", () => {
  const { message } = unknownImage("debain-12:1", [], ["debian-12", "micro"]);
  expect(message).toBe(
    "no image 'debain-12:1'; did you mean 'debian-12'?; there is: debian-12, micro",
  );
});

test("control characters of a reference do not reach the message", () => {
  expect(unknownImage("\u001b[2J", [], []).message).not.toContain("\u001b");
});
