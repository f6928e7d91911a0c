import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { Child } from "#bench/child.ts";
import { Line } from "./line.ts";
import type { Site } from "./site.ts";

const BIN = new URL("../../bin/testbed", import.meta.url).pathname;
/** A stop takes ten seconds at most, and the launcher's shell nothing. */
const STOP_MS = 15_000;
const LISTENS = /\b127\.0\.0\.1:(\d+)/;

/** The real service, started as people start it, on a state folder of its own and a free port. */
export class OurService implements AsyncDisposable {
  readonly folder: string;
  readonly port: number;
  readonly #child: Child;

  private constructor(folder: string, port: number, child: Child) {
    this.folder = folder;
    this.port = port;
    this.#child = child;
  }

  /** Starts it and waits until it takes work. Throws when it ends instead. */
  static async start(folder: string): Promise<OurService> {
    const child = new Child(BIN, ["service", "--state", folder, "--listen", "127.0.0.1:0"], {
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
      stopMs: STOP_MS,
    });
    const port = await portOf(child.process.stderr as Readable);
    const service = new OurService(folder, port, child);
    using line = await Line.open({ host: "127.0.0.1", port });
    const { status } = await line.ask({ method: "GET", path: "/readyz" });
    if (status !== 200) throw new Error(`the service is not ready: ${status}`);
    return service;
  }

  /** Its process. */
  get pid(): number {
    return this.#child.process.pid ?? 0;
  }

  /** Makes tokens for so many simulated hosts and submitters. */
  async site(counts: { readonly hosts: number; readonly submitters: number }): Promise<Site> {
    const secret = (await readFile(join(this.folder, "local-secret"), "utf8")).trim();
    using line = await Line.open({ path: join(this.folder, "service.sock") }, secret);
    const make = async (role: string, name: string) => {
      const body = JSON.stringify({ role, name });
      const made = await line.askJson({ method: "POST", path: "/v1/tokens", body }, 201);
      return { name, token: (made as { secret: string }).secret };
    };
    const hosts = [];
    for (let at = 0; at < counts.hosts; at += 1) hosts.push(await make("host", `host-${at}`));
    const submitters = [];
    for (let at = 0; at < counts.submitters; at += 1)
      submitters.push((await make("submitter", `submitter-${at}`)).token);
    return { to: { host: "127.0.0.1", port: this.port }, hosts, submitters };
  }

  /** What the database takes on the disk, its log included. */
  async databaseMiB(): Promise<number> {
    const names = ["jobs.sqlite", "jobs.sqlite-wal"];
    const sizes = await Promise.all(
      names.map((name) => stat(join(this.folder, name)).then(({ size }) => size)),
    );
    return sizes.reduce((sum, size) => sum + size, 0) / 2 ** 20;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}

/** The port that it says it listens on. */
async function portOf(stderr: Readable): Promise<number> {
  const lines: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const said = createInterface({ input: stderr });
  said.on("line", (line) => {
    lines.push(line);
    const port = LISTENS.exec(line)?.[1];
    if (port !== undefined) resolve(Number(port));
  });
  said.on("close", () => reject(new Error(`the service ended:\n${lines.join("\n")}`)));
  return await promise;
}
