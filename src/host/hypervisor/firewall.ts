import { Fault } from "#job/fault.ts";
import { run, SpawnError } from "#lib/spawn.ts";
import { bridgePrefix } from "./slot-network.ts";

const NFT_TIMEOUT_MS = 10_000;

/**
 * Closes the host to its guests: what comes in from a slot's bridge is dropped but DHCP, DNS, router discovery and
 * answers to what the host began. One table for all slots of an installation, matched by the bridges' common prefix, and
 * loaded in one transaction, so twice is safe and there is no moment without it. libvirt's own rules leave the host open.
 */
export async function closeHostSide(installation: string, signal: AbortSignal): Promise<void> {
  try {
    await run("nft", ["-f", "-"], {
      timeoutMs: NFT_TIMEOUT_MS,
      signal,
      input: ruleset(installation),
    });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const isMissing = error instanceof SpawnError && error.isMissing;
    throw new Fault(
      isMissing ? "host-tool-missing" : "network-unavailable",
      isMissing
        ? "nft is not installed; without it guests could reach this host. Install the Debian package nftables."
        : `the firewall that keeps guests off this host could not be loaded: ${(error as Error).message}. Run as root, or try: nft list ruleset`,
      { cause: error, stage: "network" },
    );
  }
}

/** Removes the table again. One that is not there is fine. */
export async function openHostSide(installation: string): Promise<void> {
  const table = tableName(installation);
  await run("nft", ["-f", "-"], {
    timeoutMs: NFT_TIMEOUT_MS,
    input: `table inet ${table}\ndelete table inet ${table}\n`,
  });
}

function tableName(installation: string): string {
  return `testbed_${installation.slice(0, 8)}`;
}

/** Runs before other input chains (priority below 0), and a drop is final whatever they accept: nft(8), "Verdicts". */
function ruleset(installation: string): string {
  const table = tableName(installation);
  return `
table inet ${table}
delete table inet ${table}
table inet ${table} {
  chain input {
    type filter hook input priority -10; policy accept;
    iifname "${bridgePrefix(installation)}*" jump guest
  }
  chain guest {
    ct state established,related accept
    udp dport { 53, 67 } accept
    tcp dport 53 accept
    icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept
    drop
  }
}
`;
}
