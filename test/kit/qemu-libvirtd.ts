import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { connectLibvirt, type Libvirt } from "#libvirt/client.ts";
import { eventually } from "./eventually.ts";
import { ROOT, TEST_STATE } from "./house.ts";

const OWN_LIBVIRT = join(ROOT, "test/fixtures/setup/own-libvirt.sh");
const SUBREAPER = join(ROOT, "setup/subreaper");

/** A virtlogd and a libvirtd with its first look at QEMU take seconds on a busy host. */
const START_MS = 60_000;

/**
 * A libvirtd of a test's own that runs real machines and can be killed, stopped and started again under them. Its records and
 * sockets lie in a folder of its own, its networks are on this host. Needs root. Disposing ends all machines and networks
 * that it still has.
 */
export class QemuLibvirtd implements AsyncDisposable {
  readonly uri: string;
  /** QEMU reaches what lies below. */
  readonly folder: string;
  readonly #virtlogd: ChildProcess;
  #libvirtd: ChildProcess;

  private constructor(folder: string) {
    this.folder = folder;
    this.uri = `qemu:///system?socket=${folder}/run/libvirt-sock`;
    this.#virtlogd = spawn(
      OWN_LIBVIRT,
      [folder, "/usr/sbin/virtlogd", ...this.#options("virtlogd")],
      {
        stdio: "ignore",
      },
    );
    this.#libvirtd = this.#virtlogd;
  }

  static async start(): Promise<QemuLibvirtd> {
    await mkdir(TEST_STATE, { recursive: true });
    const folder = await mkdtemp(join(TEST_STATE, "libvirt-"));
    // mkdtemp makes it 0700, and QEMU runs as another user.
    await chmod(folder, 0o711);
    const libvirtd = new QemuLibvirtd(folder);
    await eventually(async () => (await libvirtd.#pid("virtlogd")) !== undefined, START_MS);
    await libvirtd.restart();
    return libvirtd;
  }

  /** Sends libvirtd a signal, and waits until it is dead when it is SIGKILL. Its machines go on. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    const pid = (await this.#pid("libvirtd")) ?? 0;
    process.kill(pid, signal);
    if (signal === "SIGKILL") await eventually(async () => !(await isThere(pid)), START_MS);
  }

  /** Starts libvirtd, which is not running, and waits until it answers. */
  async restart(): Promise<void> {
    const target = String((await this.#pid("virtlogd")) ?? 0);
    const command = [SUBREAPER, "/usr/sbin/libvirtd", ...this.#options("libvirtd")];
    await rm(join(this.folder, "libvirtd.pid"), { force: true });
    this.#libvirtd = spawn("nsenter", ["--mount", "--target", target, ...command], {
      stdio: "ignore",
    });
    await eventually(async () => {
      const libvirt = await this.#connect();
      await libvirt?.[Symbol.asyncDispose]();
      return libvirt !== undefined;
    }, START_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using libvirt = await this.#connect();
    for (const domain of (await libvirt?.domains.list()) ?? [])
      if (domain.id !== -1) await libvirt?.domains.destroy(domain);
    for (const network of (await libvirt?.networks.list()) ?? [])
      if (await libvirt?.networks.isActive(network)) await libvirt?.networks.destroy(network);
    await this.signal("SIGKILL").catch(() => undefined);
    if (this.#libvirtd.exitCode === null) await once(this.#libvirtd, "exit");
    this.#virtlogd.kill("SIGKILL");
    await once(this.#virtlogd, "exit");
    await rm(this.folder, { recursive: true, force: true });
  }

  #options(daemon: "libvirtd" | "virtlogd"): string[] {
    return ["-f", join(ROOT, `setup/${daemon}.conf`), "-p", join(this.folder, `${daemon}.pid`)];
  }

  async #pid(daemon: "libvirtd" | "virtlogd"): Promise<number | undefined> {
    const text = await readFile(join(this.folder, `${daemon}.pid`), "utf8").catch(() => "");
    return text === "" ? undefined : Number(text);
  }

  async #connect(): Promise<Libvirt | undefined> {
    return await connectLibvirt(this.uri, { openTimeoutMs: START_MS }).catch(() => undefined);
  }
}

async function isThere(pid: number): Promise<boolean> {
  return await readFile(`/proc/${pid}/cmdline`).then(
    (command) => command.length > 0,
    () => false,
  );
}
