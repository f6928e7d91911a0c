import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chown, cp, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connectLibvirt } from "#libvirt/client.ts";
import { call } from "./call.ts";
import { eventually } from "./eventually.ts";
import { ROOT, TEST_STATE } from "./house.ts";
import { endStale } from "./stale-process.ts";

/** Where libvirtd and virtlogd keep things, compiled in. */
const PLACES = [
  "/run/libvirt",
  "/etc/libvirt",
  "/var/lib/libvirt",
  "/var/cache/libvirt",
  "/var/log/libvirt",
] as const;

/** The first connection of a libvirtd's life asks QEMU what it can do. */
const ANSWER_MS = 90_000;

/**
 * A libvirtd and a virtlogd that run real machines, beside the system's own: the same programs on other folders, seen through mount
 * namespaces, in the host's own network. It may be killed, stopped and started again, and nobody else on the host notices. One at a
 * time; what a killed run left of it ends when the next begins.
 */
export class OwnLibvirt implements AsyncDisposable {
  readonly uri: string;
  readonly socket: string;
  /** World-readable, the same each time. */
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.socket = `${folder}/sockets/libvirt-sock`;
    this.uri = `qemu:///system?socket=${this.socket}`;
  }

  static async start(): Promise<OwnLibvirt> {
    const own = new OwnLibvirt(`${TEST_STATE}-libvirt`);
    // A libvirtd on what a killed run left knows its machines and networks again, and can end them.
    if (existsSync(join(own.folder, "libvirtd.conf"))) await own[Symbol.asyncDispose]();
    await own.#furnish();
    await own.launchVirtlogd();
    await own.begin();
    return own;
  }

  /** Of libvirtd itself, without what stands around it. */
  async pid(): Promise<number> {
    return Number(await readFile(join(this.folder, "libvirtd.pid"), "utf8"));
  }

  /** libvirtd dies as it stands; its machines live on. */
  async kill(): Promise<void> {
    const pid = await this.pid();
    process.kill(pid, "SIGKILL");
    await eventually(() => !existsSync(`/proc/${pid}/exe`), 10_000);
  }

  /** SIGSTOP, SIGCONT. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    process.kill(await this.pid(), signal);
  }

  /** Starts libvirtd, also after `kill`, and waits until it answers. One that runs is left alone. */
  async begin(): Promise<void> {
    if (!(await this.#answers())) await this.launch();
    await eventually(() => this.#answers(), ANSWER_MS);
  }

  /** virtlogd dies; the consoles of machines that run lead nowhere from now on. */
  async killVirtlogd(): Promise<void> {
    await endStale(join(this.folder, "virtlogd.pid"), this.folder);
  }

  /** Starts virtlogd, also after `killVirtlogd`, and waits until it listens. */
  async launchVirtlogd(): Promise<void> {
    const socket = join(this.folder, "run/libvirt/virtlogd-sock");
    for (const left of ["virtlogd.pid", "run/libvirt/virtlogd-sock"])
      await rm(join(this.folder, left), { force: true });
    this.#spawn("virtlogd");
    await eventually(() => existsSync(socket), 10_000);
  }

  /** Starts both again, to see what was mounted since: each has a mount namespace from when it began. */
  async seeMounts(): Promise<void> {
    await this.kill();
    await this.killVirtlogd();
    await this.launchVirtlogd();
    await this.begin();
  }

  /** Starts libvirtd, and waits until there is a process to be killed. */
  async launch(): Promise<void> {
    const file = join(this.folder, "libvirtd.pid");
    await endStale(file, this.folder);
    await rm(file, { force: true });
    this.#spawn("libvirtd");
    const isThere = async () => {
      const pid = Number(await readFile(file, "utf8").catch(() => ""));
      return pid > 0 && existsSync(`/proc/${pid}`);
    };
    await eventually(isThere, ANSWER_MS);
  }

  async virsh(...args: readonly string[]): Promise<string> {
    return await call("virsh", ["-q", "-c", this.uri, ...args]);
  }

  /** Defines a domain or a network. */
  async define(kind: "domain" | "network", xml: string): Promise<void> {
    const file = join(this.folder, "define.xml");
    await writeFile(file, xml);
    await this.virsh(kind === "domain" ? "define" : "net-define", file);
  }

  /** Ends all of it, machines and networks too. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!(await this.#answers())) await this.begin();
    for (const name of lines(await this.virsh("list", "--all", "--name"))) {
      await this.virsh("destroy", name).catch(() => undefined);
      await this.virsh("undefine", "--keep-nvram", name).catch(() => undefined);
    }
    // dnsmasq and the bridge of a network would outlive libvirtd.
    for (const name of lines(await this.virsh("net-list", "--name")))
      await this.virsh("net-destroy", name).catch(() => undefined);
    await this.#sweep();
  }

  async #answers(): Promise<boolean> {
    try {
      await using libvirt = await connectLibvirt(this.uri);
      await libvirt.host.hostname({ timeoutMs: 2_000 });
      return true;
    } catch {
      return false;
    }
  }

  async #furnish(): Promise<void> {
    for (const place of [...PLACES, "/sockets"])
      await mkdir(join(this.folder, place), { recursive: true });
    for (const place of ["/etc/libvirt", "/var/cache/libvirt"])
      await cp(place, join(this.folder, place), { recursive: true });
    const { uid, gid } = await stat("/var/lib/libvirt/qemu");
    const qemu = join(this.folder, "var/lib/libvirt/qemu");
    await mkdir(qemu);
    await chown(qemu, uid, gid);
    const common = await readFile(join(ROOT, "setup/libvirtd.conf"), "utf8");
    const config = `${common}unix_sock_dir = "${this.folder}/sockets"\n`;
    await writeFile(join(this.folder, "libvirtd.conf"), config);
    await cp(join(ROOT, "setup/virtlogd.conf"), join(this.folder, "virtlogd.conf"));
  }

  /** Both outlive the tests' process when that is killed, and their machines with them. */
  #spawn(name: "libvirtd" | "virtlogd"): void {
    const { folder } = this;
    const kit = join(ROOT, "test/kit/own-libvirt.sh");
    const reaper = name === "libvirtd" ? [join(ROOT, "setup/subreaper")] : [];
    const program = [`/usr/sbin/${name}`, "-f", `${folder}/${name}.conf`];
    const inside = ["sh", kit, folder, ...reaper, ...program, "-p", `${folder}/${name}.pid`];
    const child = spawn("unshare", ["--mount", "--propagation", "private", ...inside], {
      cwd: "/",
      detached: true,
      stdio: "ignore",
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
    });
    child.unref();
  }

  async #sweep(): Promise<void> {
    for (const name of ["libvirtd", "virtlogd"])
      await endStale(join(this.folder, `${name}.pid`), this.folder);
    await rm(this.folder, { recursive: true, force: true });
  }
}

function lines(text: string): readonly string[] {
  return text.split("\n").filter((line) => line !== "");
}
