import { access } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Config } from "#config/config.ts";
import type { HostView, LibvirtAnswer } from "#host/doctor/host-view.ts";
import { FIRMWARES, type Firmwares } from "#host/hypervisor/firmware.ts";
import { qemuUser } from "#host/hypervisor/qemu-reach.ts";
import { fromXml } from "#host/hypervisor/xml.ts";
import { readFinding } from "#host/runner/settle-acceleration.ts";
import { PROGRAM_FOLDERS } from "#lib/programs.ts";
import { connectLibvirt, type Libvirt } from "#libvirt/client.ts";
import type { Version } from "#libvirt/host.ts";
import { parseUri } from "#libvirt/uri.ts";

/** Shorter than the deadline of the checks that wait for it, so that they can say more than "no answer". */
const LIBVIRT_MS = 20_000;

/** This host, as the checks look at it. Disposing closes the connection to libvirt, if there is one. */
export async function thisHost(config: Config): Promise<HostView & AsyncDisposable> {
  const userId = process.geteuid?.() ?? 0;
  const sockets = parseUri(config.libvirtUri, { userId }).sockets;
  const stack = new AsyncDisposableStack();
  const signal = AbortSignal.timeout(LIBVIRT_MS);
  const connected = once(async () =>
    stack.use(await connectLibvirt(config.libvirtUri, { signal })),
  );
  return {
    userId,
    stateFolder: config.stateFolder,
    libvirtSockets: sockets,
    virtlogdSocket: join(dirname(sockets[0] ?? "/run/libvirt/libvirt-sock"), "virtlogd-sock"),
    kvmDevice: "/dev/kvm",
    procFolder: "/proc",
    firmware: firmwareHere(),
    programFolders: PROGRAM_FOLDERS,
    // sd_booted(3) looks at the same folder.
    hasSystemd: await exists("/run/systemd/system"),
    setupFolder: new URL("../../../setup", import.meta.url).pathname,
    libvirt: once(async () => await ask(connected, signal)),
    emulator: once(async () => await emulatorOf(await connected(), signal)),
    acceleration: async () =>
      await readFinding({ state: { path: config.stateFolder, installation: "" } }),
    [Symbol.asyncDispose]: async () => await stack.disposeAsync(),
  };
}

/** Node.js's words for the architectures that machines are made for (https://nodejs.org/api/process.html#processarch). */
const ARCHITECTURES: Readonly<Record<string, keyof Firmwares>> = {
  x64: "x86_64",
  arm64: "aarch64",
};

function firmwareHere(): HostView["firmware"] {
  const architecture = ARCHITECTURES[process.arch];
  if (architecture === undefined) return undefined;
  const { code, variables, debianPackage } = FIRMWARES[architecture];
  return { files: [code, variables], debianPackage };
}

async function ask(connected: () => Promise<Libvirt>, signal: AbortSignal): Promise<LibvirtAnswer> {
  const begunMs = performance.now();
  const libvirt = await connected();
  const [versions, user] = await Promise.all([
    libvirt.host.version({ signal }),
    qemuUser(libvirt, signal),
  ]);
  return {
    libvirtVersion: shown(versions.libvirt),
    qemuVersion: shown(versions.hypervisor),
    qemuUser: user,
    tookMs: performance.now() - begunMs,
  };
}

async function emulatorOf({ host }: Libvirt, signal: AbortSignal): Promise<string> {
  const [architecture, machine] =
    process.arch === "arm64" ? (["aarch64", "virt"] as const) : (["x86_64", "q35"] as const);
  const xml = await host.domainCapabilities({ architecture, machine, type: "qemu" }, { signal });
  return fromXml(xml).at("domainCapabilities", "path").text;
}

/** Makes a promise at the first call and hands the same one out from then on. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function shown({ major, minor, release }: Version): string {
  return `${major}.${minor}.${release}`;
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
