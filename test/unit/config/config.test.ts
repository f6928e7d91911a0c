import { expect, test } from "vitest";
import { readConfig, VARIABLES } from "#config/config.ts";
import { ConfigError } from "#config/config-error.ts";

test("without any variable there are defaults", () => {
  expect(readConfig({}, true)).toEqual({
    stateFolder: "/var/lib/testbed",
    libvirtUri: "qemu:///system",
    acceleration: "auto",
    catalogueFolders: [],
    imagesFile: { path: "/etc/testbed/images.yaml", isNamed: false },
    logLimitBytes: 64 * 2 ** 20,
    hasColor: true,
    canMoveCursor: false,
  });
  expect(readConfig({ HOME: "/home/a" }, false).stateFolder).toBe("/home/a/.local/state/testbed");
  expect(readConfig({ HOME: "/home/a", XDG_STATE_HOME: "/s" }, false).stateFolder).toBe(
    "/s/testbed",
  );
  expect(readConfig({ HOME: "/home/a" }, false).imagesFile).toEqual({
    path: "/home/a/.config/testbed/images.yaml",
    isNamed: false,
  });
});

test("every variable is read", () => {
  const config = readConfig(
    {
      TESTBED_STATE: "/srv/x/../testbed/",
      TESTBED_LIBVIRT: "qemu:///session?socket=/run/sock",
      TESTBED_ACCEL: "tcg",
      TESTBED_CATALOGUE: "/a:/b",
      TESTBED_IMAGES: "/srv/images.yaml",
      TESTBED_LOG_LIMIT: "2GiB",
      NO_COLOR: "1",
      TERM: "xterm",
      TESTBED_NODE: "/usr/bin/node",
    },
    true,
  );
  expect(config).toEqual({
    stateFolder: "/srv/testbed",
    libvirtUri: "qemu:///session?socket=/run/sock",
    acceleration: "tcg",
    catalogueFolders: ["/a", "/b"],
    imagesFile: { path: "/srv/images.yaml", isNamed: true },
    logLimitBytes: 2 * 2 ** 30,
    hasColor: false,
    canMoveCursor: true,
  });
  expect(Object.isFrozen(config)).toBe(true);
});

test.each([
  ["TESTBED_STATE", "relative", "an absolute path"],
  ["TESTBED_LIBVIRT", "qemu+ssh://host/system", "qemu:///system"],
  ["TESTBED_LIBVIRT", "qemu:///system?socket=relative", "qemu:///system"],
  ["TESTBED_ACCEL", "hvf", "auto, kvm or tcg"],
  ["TESTBED_CATALOGUE", "/a:b", "absolute paths"],
  ["TESTBED_CATALOGUE", "/a:", "absolute paths"],
  ["TESTBED_IMAGES", "images.yaml", "an absolute path"],
  ["TESTBED_LOG_LIMIT", "10", "a size from 1MiB"],
  ["TESTBED_LOG_LIMIT", "2TiB", "a size from 1MiB"],
  ["TESTBED_ACEL", "kvm", "did you mean 'TESTBED_ACCEL'?"],
])("%s=%s is an error that names the variable and what is allowed", (name, value, allowed) => {
  expect(() => readConfig({ [name]: value }, true)).toThrow(ConfigError);
  expect(() => readConfig({ [name]: value }, true)).toThrow(name);
  expect(() => readConfig({ [name]: value }, true)).toThrow(allowed);
});

test("all that is wrong is said at once, and printably", () => {
  expect(() => readConfig({ TESTBED_ACCEL: "\u001b[2J", TESTBED_LOG_LIMIT: "x" }, true)).toThrow(
    /TESTBED_ACCEL is '\\u\{1b\}\[2J'.*\nTESTBED_LOG_LIMIT/,
  );
  expect(() => readConfig({}, false)).toThrow("HOME is not set");
});

test("each variable is documented with its default", () => {
  for (const { name, says, default: byDefault } of VARIABLES) {
    expect(name).toMatch(/^TESTBED_[A-Z_]+$/);
    expect(says.length).toBeGreaterThan(20);
    expect(byDefault).not.toBe("");
  }
});
