import { readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Which rooms a room may enter, besides itself. The order is the order of the house, ground floor first. */
const DOORS: Record<string, readonly string[]> = {
  lib: [],
  libvirt: [],
  job: ["lib"],
  config: ["job", "lib"],
  "host/runner": ["job", "lib"],
  "host/hypervisor": ["host/runner/ports.ts", "libvirt", "job", "lib"],
  "host/guest": ["host/runner/ports.ts", "host/runner/guest-port.ts", "job", "lib"],
  "host/images": ["host/runner/ports.ts", "job", "lib"],
  "host/doctor": ["host/runner/ports.ts", "host/runner/state-folder.ts", "job", "lib"],
  "host/narration": ["host/runner/attempt.ts", "job", "lib"],
  "host/daemon": ["host/runner", "host/narration", "protocol", "job", "lib"],
  "host/state": [
    "host/daemon/ports.ts",
    "host/runner/journal.ts",
    "host/upkeep/ports.ts",
    "host/runner/results-folder.ts",
    "host/runner/state-folder.ts",
    "protocol",
    "job",
    "lib",
  ],
  "host/uplink": ["host/daemon/ports.ts", "protocol", "job", "lib"],
  "host/api": ["host/daemon/ports.ts", "job", "lib"],
  "host/upkeep": ["job", "lib"],
  // Commands that ask a job service: neither this host nor the service's own rooms.
  "cli/client": [
    "cli/exit-code.ts",
    "cli/run/input-notes.ts",
    "cli/run/open-screen.ts",
    "cli/print-answer.ts",
    "cli/service/service-state.ts",
    "cli/signals.ts",
    "cli/run/summary.ts",
    "host/narration",
    "config",
    "protocol",
    "job",
    "lib",
  ],
  cli: [
    "cli/client",
    "config",
    "host/runner",
    "host/narration",
    "host/daemon",
    "host/state",
    "host/uplink",
    "host/api",
    "host/upkeep",
    "host/hypervisor",
    "host/guest",
    "host/images",
    "host/doctor",
    "service/ports.ts",
    "service/file-ports.ts",
    "service/store",
    "service/files",
    "service/api",
    "service/upkeep",
    "protocol",
    "libvirt",
    "job",
    "lib",
  ],
  protocol: ["job", "lib"],
  "service/matching": ["protocol", "job", "lib"],
  "service/ports.ts": ["service/matching", "protocol", "job", "lib"],
  "service/file-ports.ts": [],
  "service/files": ["service/file-ports.ts", "lib"],
  "service/api": [
    "service/ports.ts",
    "service/file-ports.ts",
    "service/matching",
    "protocol",
    "job",
    "lib",
  ],
  "service/upkeep": ["service/ports.ts", "service/file-ports.ts", "protocol", "job", "lib"],
  "service/store": ["service/ports.ts", "service/matching", "protocol", "job", "lib"],
  "main.ts": ["cli"],
};

/** The only rooms that may speak to a vendor. */
const VENDORS: Record<string, readonly string[]> = {
  ssh2: ["host/guest"],
  "tar-stream": ["host/guest"],
  "fast-xml-parser": ["host/hypervisor"],
  "node:sqlite": ["lib", "service/store"],
  "node:child_process": ["lib"],
  ajv: ["lib"],
  pino: ["lib"],
  typebox: ["job", "protocol", "host/images", "service/api", "cli"],
  fastify: ["service/api"],
  "node-cron": ["host/upkeep"],
  yaml: ["lib", "job", "host/images"],
  commander: ["cli"],
  "eventsource-parser": ["cli/client"],
  "fastest-levenshtein": ["lib", "job"],
};

const IMPORT = /(?:from\s+|import\s*\(\s*|import\s+)"([^"]+)"/g;

const files = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" }).filter((file) =>
  file.endsWith(".ts"),
);

/** The longest room whose path begins this path. */
function roomOf(path: string): string {
  const rooms = Object.keys(DOORS).filter((room) => path === room || path.startsWith(`${room}/`));
  return rooms.sort((a, b) => b.length - a.length)[0] ?? "no room";
}

const imports = files.flatMap((file) =>
  [...readFileSync(join(ROOT, "src", file), "utf8").matchAll(IMPORT)].map((match) => ({
    file,
    room: roomOf(file),
    target: match[1] as string,
  })),
);

test("the test reads the whole house", () => {
  expect(files.length).toBeGreaterThan(5);
  expect(imports.length).toBeGreaterThan(10);
});

test("every file lies in a room of the table", () => {
  expect(files.filter((file) => roomOf(file) === "no room")).toEqual([]);
});

test("no import goes through a wall", () => {
  const broken = imports
    .filter(({ target }) => target.startsWith("#"))
    .filter(({ room, target }) => {
      const path = target.slice(1);
      if (roomOf(path) === room) return false;
      return !(DOORS[room] ?? []).some((door) => path === door || path.startsWith(`${door}/`));
    })
    .map(({ file, target }) => `${file} imports ${target}`);
  expect(broken).toEqual([]);
});

test("each vendor has its own door", () => {
  const broken = imports
    .filter(({ room, target }) => VENDORS[target] !== undefined && !VENDORS[target]?.includes(room))
    .map(({ file, target }) => `${file} imports ${target}`);
  expect(broken).toEqual([]);
});

test("every package from outside is in the table of vendors", () => {
  const unknown = imports
    .map(({ target }) =>
      target.startsWith("@") ? target.split("/").slice(0, 2).join("/") : target.split("/")[0],
    )
    .filter((target): target is string => target !== undefined && !/^[.#]/.test(target))
    .filter((target) => !target.startsWith("node:") && !builtinModules.includes(target))
    .filter((target) => VENDORS[target] === undefined);
  expect([...new Set(unknown)]).toEqual([]);
});
