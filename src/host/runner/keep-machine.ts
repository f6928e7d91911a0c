import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Place } from "./admission.ts";
import type { Chronicle } from "./chronicle.ts";
import { MACHINE_FILES } from "./machine-record.ts";
import type { Access, Machine } from "./ports.ts";
import type { Holdings } from "./work.ts";

/**
 * Leaves a machine running for a person, with all that `ssh -F <folder>/ssh_config guest` needs: the address that
 * answered, the client's key, and the one host key to accept. The folder is only for who owns the state folder.
 */
export async function keepMachine(kept: {
  place: Place;
  machine: Machine;
  access: Access;
  holdings: Holdings;
  chronicle: Chronicle;
}): Promise<void> {
  const { place, machine, access, holdings, chronicle } = kept;
  if (machine.ended.aborted) return;
  const found = await machine.addresses(AbortSignal.timeout(5_000));
  const address = holdings.guest?.place.address ?? found[0] ?? "unknown";
  const file = (name: string) => join(place.folder, name);
  const type = access.hostKey.subarray(4, 4 + access.hostKey.readUInt32BE(0)).toString();
  await writeFile(file(MACHINE_FILES.key), access.clientKey, { mode: 0o600 });
  await writeFile(
    file(MACHINE_FILES.knownHosts),
    `guest ${type} ${access.hostKey.toString("base64")}\n`,
  );
  await writeFile(
    file(MACHINE_FILES.sshConfig),
    [
      "Host guest",
      // `%` begins a token in ssh_config(5); an address with a zone has one.
      `  HostName ${address.replaceAll("%", "%%")}`,
      `  User ${access.login}`,
      `  IdentityFile ${file(MACHINE_FILES.key)}`,
      `  UserKnownHostsFile ${file(MACHINE_FILES.knownHosts)}`,
      "  GlobalKnownHostsFile none",
      "  HostKeyAlias guest",
      "  StrictHostKeyChecking yes",
      "  UpdateHostKeys no",
      "  IdentitiesOnly yes",
      "  IdentityAgent none",
      "  ForwardAgent no",
      "",
    ].join("\n"),
  );
  await place.keep(address);
  machine.keep();
  chronicle.draft.kept = { name: machine.name, address };
}
