import { type CommandEnd, command, PATH } from "./command.ts";
import type { UnitFile } from "./unit-file.ts";

/** What a unit forbids its processes by filters of system calls and by capabilities. */
const KEYS = [
  "NoNewPrivileges",
  "CapabilityBoundingSet",
  "AmbientCapabilities",
  "RestrictAddressFamilies",
  "RestrictNamespaces",
  "SystemCallArchitectures",
  "SystemCallFilter",
  "SystemCallErrorNumber",
  "UMask",
];

/**
 * A service manager of its own, which sees no other: systemd of a user, root here, with a /run that ends with it. It starts
 * the command and is stopped when that ends; the exit status is the command's.
 */
const MANAGER = `
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/own && cd /
export XDG_RUNTIME_DIR=/run/own
/usr/lib/systemd/systemd --user >&2 &
until systemctl --user show-environment >/dev/null 2>&1; do kill -0 $! || exit 125; done
systemd-run --user --quiet --wait --pipe "$@"
status=$?
kill $! && wait $!
exit $status
`;

/** Runs a program as nobody under what a unit forbids, as systemd itself imposes it. Takes root. */
export async function underUnit(unit: UnitFile, argv: readonly string[]): Promise<CommandEnd> {
  const properties = [
    "User=nobody",
    ...KEYS.flatMap((key) => unit.all(key).map((value) => `${key}=${value}`)),
  ].flatMap((property) => ["-p", property]);
  return await command(
    "unshare",
    ["--mount", "--fork", "--kill-child", "sh", "-c", MANAGER, "manager", ...properties, ...argv],
    { env: { PATH, LC_ALL: "C" } },
  );
}
