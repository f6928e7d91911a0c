import { expect, test } from "vitest";
import { parsePolicy } from "#host/images/build/debian-packages.ts";

test("candidate versions are read from what apt-cache says, and a package without one is left out", () => {
  const output = [
    "busybox-static:",
    "  Installed: (none)",
    "  Candidate: 1:1.35.0-4+b1",
    "  Version table:",
    "     1:1.35.0-4+b1 500",
    "        500 http://mirror.invalid/debian bookworm/main amd64 Packages",
    "gone:",
    "  Installed: 1.0",
    "  Candidate: (none)",
    "  Version table:",
    "     Candidate: 9",
    "",
  ].join("\n");
  expect(parsePolicy(output)).toEqual({ "busybox-static": "1:1.35.0-4+b1" });
});
