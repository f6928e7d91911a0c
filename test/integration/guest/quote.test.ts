import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { quote } from "#host/guest/quote.ts";

for (const shell of ["dash", "bash", "busybox"]) {
  test(`${shell} reads a quoted value as it was`, () => {
    const text = fc
      .array(fc.constantFrom("'", '"', "\\", "$", "`", "\n", " ", "*", "!", "\t", "a", "é", "~"))
      .map((letters) => letters.join(""));
    fc.assert(
      fc.property(fc.array(text, { maxLength: 40 }), (values) => {
        const script = `printf '%s\\0' ${values.map(quote).join(" ")} end`;
        const args = shell === "busybox" ? ["sh", "-c", script] : ["-c", script];
        const out = execFileSync(shell, args).toString();
        expect(out.split("\0").slice(0, -1)).toEqual([...values, "end"]);
      }),
      { numRuns: 20 },
    );
  });
}
