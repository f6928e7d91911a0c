import { expect, test } from "vitest";
import { LogRelay } from "#cli/client/log-relay.ts";
import type { Screen } from "#host/narration/screen.ts";

function relayOf(pieces: readonly string[]) {
  const lines: string[] = [];
  let guest = "";
  const screen: Screen = {
    line: (text) => void lines.push(text),
    guest: (text) => {
      guest += text;
    },
    endGuest: () => undefined,
    status: () => undefined,
    close: async () => true,
  };
  const relay = new LogRelay(screen);
  for (const piece of pieces) relay.push(Buffer.from(piece));
  relay.end();
  return { lines, guest };
}

const LOG = "==> starting\n| hello\n| ==> not ours\n==> done\nplain\n| \n|tight\n=>\n";

test.each([
  ["whole", [LOG]],
  ["by characters", [...LOG]],
])("lines keep whose they are, %s", (_, pieces) => {
  expect(relayOf(pieces)).toEqual({
    lines: ["starting", "done"],
    guest: "hello\n==> not ours\nplain\n\n|tight\n=>\n",
  });
});

test("a line that is not whole is shown as it comes, and at the end", () => {
  expect(relayOf(["| 50%", "…100%"])).toMatchObject({ guest: "50%…100%", lines: [] });
  expect(relayOf(["==> half a"])).toMatchObject({ lines: ["half a"], guest: "" });
  expect(relayOf(["=="])).toEqual({ guest: "==\n", lines: [] });
});

test("a line without end costs no memory", () => {
  const { guest, lines } = relayOf(["==> ", ...Array<string>(100).fill("x".repeat(1000))]);
  expect(guest.length + lines.join("").length).toBeGreaterThan(99_000);
});
