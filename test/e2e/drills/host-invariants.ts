import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { eventually } from "#test/kit/eventually.ts";
import { type Lab, openAttempts, stateOf } from "#test/kit/lab.ts";
import { leftovers } from "#test/kit/leftovers.ts";
import type { OwnLibvirt } from "#test/kit/own-libvirt.ts";
import { childrenOf, openBy } from "#test/kit/processes.ts";

/** What is delivered is forgotten a moment after the service has it. */
const IDLE_MS = 30_000;

/** An idle daemon has some 40; a leak of one for each attempt shows within a soak, a large one at once. */
const DESCRIPTORS_MAX = 64;

/** What must hold of a host after every drill, when nothing is to do. Each says what is wrong, or nothing. */
const OF_A_HOST: Readonly<
  Record<string, (lab: Lab, host: string, libvirt: OwnLibvirt) => Promise<readonly string[]>>
> = {
  "V1 everything is delivered": async (_, host) => {
    const attempts = async () => await openAttempts(stateOf(host));
    await eventually(async () => (await attempts()).length === 0, IDLE_MS).catch(() => undefined);
    return (await attempts()).map((name) => `attempts/${name} is still there`);
  },

  "V4 nothing is left behind": async (_, host, { uri }) => {
    const left = async () => await leftovers(stateOf(host), uri);
    await eventually(async () => (await left()).length === 0, IDLE_MS).catch(() => undefined);
    return await left();
  },

  "V4 no interface is left on a bridge": async (_, host) => {
    const text = await readFile(join(stateOf(host), "installation"), "utf8");
    const bridges = (await readdir("/sys/class/net")).filter((name) =>
      name.startsWith(`tb${text.slice(0, 6)}-`),
    );
    const ports = bridges.map(async (bridge) => await readdir(`/sys/class/net/${bridge}/brif`));
    return (await Promise.all(ports)).flat();
  },

  "V4 the daemon has no children and few descriptors": async (lab, host) => {
    const daemon = lab.running.get(host);
    if (daemon === undefined) return ["it does not run"];
    const children = await childrenOf(daemon.pid);
    const open = await openBy(daemon.pid);
    return [
      ...children.map((child) => `a child process: ${child}`),
      ...(open.length <= DESCRIPTORS_MAX ? [] : [`${open.length} descriptors: ${open.join(" ")}`]),
    ];
  },

  "V10 no secret is told": async (lab, host) => {
    const token = (await readFile(join(lab.folder, `${host}.token`), "utf8")).trim();
    return [
      ...(lab.said.includes(token) ? ["the host's token is in a log"] : []),
      ...(await argumentsWith(token)).map((pid) => `the host's token is an argument of ${pid}`),
    ];
  },
};

/** What is wrong with a lab's hosts: each with the invariant that it breaks. */
export async function wrongWithHost(lab: Lab, libvirt: OwnLibvirt): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const host of lab.hosts)
    for (const [name, check] of Object.entries(OF_A_HOST))
      wrong.push(...(await check(lab, host, libvirt)).map((what) => `${name}: ${host}: ${what}`));
  return wrong;
}

async function argumentsWith(word: string): Promise<readonly string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const all = pids.map(async (pid) => {
    const places = [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`];
    const texts = await Promise.all(places.map((path) => readFile(path, "utf8").catch(() => "")));
    return texts.some((text) => text.includes(word)) ? [pid] : [];
  });
  return (await Promise.all(all)).flat();
}
