import { connectLibvirt, type Libvirt, type LibvirtOptions } from "#libvirt/client.ts";
import { FakeLibvirtServer, type ReceivedCall } from "#test/fakes/libvirt-server.ts";

export type HeldLibvirt = AsyncDisposable & {
  readonly server: FakeLibvirtServer;
  readonly libvirt: Libvirt;
  /** Calls for the host name that nobody has answered yet. */
  readonly held: ReceivedCall<"connectGetHostname">[];
};

/** A client, connected to a daemon that holds every call for the host name and answers those for its capabilities. */
export async function holdLibvirt(options: LibvirtOptions): Promise<HeldLibvirt> {
  const server = await FakeLibvirtServer.listen();
  const held: HeldLibvirt["held"] = [];
  server.on("connectGetHostname", (call) => held.push(call));
  server.on("connectGetCapabilities", (call) => call.reply("<capabilities/>"));
  const libvirt = await connectLibvirt(server.uri, options);
  return {
    server,
    libvirt,
    held,
    [Symbol.asyncDispose]: async () => {
      await libvirt[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
