import { constants } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { run, SpawnError } from "#lib/spawn.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";
import type { HostView } from "./host-view.ts";

const ASK_MS = 5_000;

/** Rights beyond libvirt's: the firewall that keeps guests off the host, and handing disks to QEMU's user. */
export async function checkUser({ userId }: HostView): Promise<Finding> {
  if (userId === 0) return ok("root");
  return problem(
    `user ${userId}: closing this host to its guests and giving disks to QEMU take root`,
    "sudo -s",
  );
}

/** Machines are reached by IPv6 link-local addresses first, and every network is dual-stack. */
export async function checkIpv6({ procFolder }: HostView, signal: AbortSignal): Promise<Finding> {
  const conf = join(procFolder, "sys/net/ipv6/conf");
  const states = await Promise.all(
    ["all", "default"].map((name) => setting(join(conf, name, "disable_ipv6"))),
  );
  if (states.includes(undefined))
    return problem(
      "this kernel has no IPv6; is ipv6.disable=1 in its command line?",
      "cat /proc/cmdline",
    );
  if (states.includes("1"))
    return problem(
      "IPv6 is switched off",
      "sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0",
    );
  const uplinks = await routedByAdvertisement(signal);
  for (const uplink of uplinks) {
    // Forwarding makes the kernel drop such a route unless accept_ra is 2 (ip-sysctl.rst), and libvirt refuses that.
    if ((await setting(join(conf, uplink, "accept_ra"))) !== "1") continue;
    return warning(
      `IPv6 is on, but ${uplink} would lose its default route when libvirt switches forwarding on`,
      `sysctl -w net.ipv6.conf.${uplink}.accept_ra=2`,
    );
  }
  return ok("on");
}

/** NAT needs forwarding; libvirt switches it on with the first network, if it can. */
export async function checkForwarding({ procFolder }: HostView): Promise<Finding> {
  const file = join(procFolder, "sys/net/ipv4/ip_forward");
  if ((await setting(file)) === "1") return ok("on");
  const isWritable = await access(file, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (isWritable) return ok("off; libvirt switches it on with the first machine's network");
  return warning("off, and this user cannot switch it on", "sysctl -w net.ipv4.ip_forward=1");
}

/** nftables closes the host to its guests. */
export async function checkNftables({ userId }: HostView, signal: AbortSignal): Promise<Finding> {
  try {
    await run("nft", ["list", "tables"], { timeoutMs: ASK_MS, signal });
    return ok("usable");
  } catch (error) {
    if (!(error instanceof SpawnError)) throw error;
    if (error.isMissing) return problem("nft is not installed", "apt-get install nftables");
    if (userId !== 0) return warning("only root can tell");
    return problem(`not usable: ${error.stderrTail || error.message}`, "modprobe nf_tables");
  }
}

/** Names of interfaces whose default route came by router advertisement. */
async function routedByAdvertisement(signal: AbortSignal): Promise<readonly string[]> {
  const options = { timeoutMs: ASK_MS, signal };
  const text = await run("ip", ["-6", "-j", "route", "show", "default"], options).catch(() => "[]");
  const routes: unknown = JSON.parse(text === "" ? "[]" : text);
  if (!Array.isArray(routes)) return [];
  return routes
    .filter((route: { protocol?: unknown }) => route.protocol === "ra")
    .map((route: { dev?: unknown }) => route.dev)
    .filter((device) => typeof device === "string");
}

async function setting(file: string): Promise<string | undefined> {
  return await readFile(file, "utf8").then(
    (text) => text.trim(),
    () => undefined,
  );
}
