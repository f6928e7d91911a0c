import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectLibvirt, type Libvirt } from "#libvirt/client.ts";
import { eventually } from "./eventually.ts";

/** libvirtd as root would be the system's; as anybody else it keeps to HOME and XDG_RUNTIME_DIR. */
const NOBODY = 65_534;

/** It ends by itself when no client is left for so long, should the tests be killed. */
const IDLE_SECONDS = 60;

/** The anchor holds on to a daemon that a test has stopped. */
const PATIENT = { keepalive: { intervalMs: 60_000, missedMax: 10 } };

/** What the test driver has from the beginning. */
const BUILT_IN = { domain: "test", network: "default" };

/**
 * A libvirtd of our own with the test driver: unprivileged, in a folder of its own, with no network, KVM or other daemon.
 * The driver's state lives while some connection is open, so an anchor is held. Disposing fails when a test left a domain
 * or a network behind.
 */
export class PrivateLibvirtd implements AsyncDisposable {
  readonly uri: string;
  /** Writable by the daemon, gone with it. */
  readonly folder: string;
  #process: ChildProcess;
  #anchor: Libvirt | undefined;

  private constructor(folder: string) {
    this.folder = folder;
    this.uri = `test:///default?socket=${folder}/run/libvirt/libvirt-sock`;
    this.#process = this.#spawn();
  }

  static async start(): Promise<PrivateLibvirtd> {
    const folder = await mkdtemp(join(tmpdir(), "libvirtd-"));
    const config = join(folder, ".config/libvirt");
    await mkdir(config, { recursive: true });
    await mkdir(join(folder, "run"), { mode: 0o700 });
    await writeFile(join(config, "libvirtd.conf"), 'auth_unix_rw = "none"\n');
    const owned = [".config/libvirt/libvirtd.conf", ".config/libvirt", ".config", "run", "."];
    if (process.getuid?.() === 0)
      for (const path of owned) await chown(join(folder, path), NOBODY, NOBODY);
    const libvirtd = new PrivateLibvirtd(folder);
    await libvirtd.#untilItAnswers();
    return libvirtd;
  }

  /** Sends it a signal: SIGSTOP and SIGCONT, or SIGKILL, after which `restart` starts another on the same socket. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    const ended = once(this.#process, "exit");
    this.#process.kill(signal);
    if (signal === "SIGKILL" || signal === "SIGTERM") await ended;
  }

  async restart(): Promise<void> {
    this.#process = this.#spawn();
    await this.#untilItAnswers();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      const left = await this.#leftovers();
      if (left.length > 0) throw new Error(`left behind in libvirt: ${left.join(", ")}`);
    } finally {
      await this.#anchor?.[Symbol.asyncDispose]();
      if (this.#process.exitCode === null && this.#process.signalCode === null)
        await this.signal("SIGKILL");
      await rm(this.folder, { recursive: true, force: true });
    }
  }

  async #leftovers(): Promise<readonly string[]> {
    if (this.#anchor === undefined) return [];
    const [domains, networks] = await Promise.all([
      this.#anchor.domains.list(),
      this.#anchor.networks.list(),
    ]);
    return [
      ...domains.map(({ name }) => name).filter((name) => name !== BUILT_IN.domain),
      ...networks.map(({ name }) => name).filter((name) => name !== BUILT_IN.network),
    ];
  }

  #spawn(): ChildProcess {
    const identity = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
    return spawn("/usr/sbin/libvirtd", [`--timeout=${IDLE_SECONDS}`], {
      ...identity,
      cwd: "/",
      stdio: ["ignore", "ignore", "ignore"],
      env: {
        PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
        HOME: this.folder,
        XDG_RUNTIME_DIR: join(this.folder, "run"),
        LC_ALL: "C",
      },
    });
  }

  async #untilItAnswers(): Promise<void> {
    await eventually(async () => {
      if (this.#process.exitCode !== null)
        throw new Error(
          `libvirtd ended with exit status ${this.#process.exitCode}: ${await this.#log()}`,
        );
      this.#anchor ??= await connectLibvirt(this.uri, PATIENT).catch(() => undefined);
      return (
        (await this.#anchor?.host.hostname({ timeoutMs: 1_000 }).then(
          () => true,
          () => false,
        )) ?? false
      );
    }, 15_000);
  }

  async #log(): Promise<string> {
    return await readFile(join(this.folder, ".cache/libvirt/libvirtd.log"), "utf8").catch(
      () => "no log",
    );
  }
}
