import { isOurMachine, type MachineIdentity } from "#job/machine-name.ts";
import { fromXml, type XmlNode } from "./xml.ts";

/** Names our element in libvirt's `<metadata>`, which wants one namespace for each application (formatdomain, Metadata). */
const NAMESPACE = "urn:testbed:machine:1";

/** The proof, inside a machine or network, of whose it is. */
export function ownershipElement(owner: Readonly<Record<string, string | number>>): XmlNode {
  const attributes = Object.fromEntries(
    Object.entries(owner).map(([key, value]) => [`@${key}`, String(value)]),
  );
  return { "testbed:owner": { "@xmlns:testbed": NAMESPACE, ...attributes } };
}

/** What a machine carries as its owner. */
export function machineOwnership(
  { installation, job, attempt }: MachineIdentity,
  slot: number,
): XmlNode {
  return ownershipElement({ installation, job, attempt, slot });
}

/**
 * True when a domain is provably this installation's: its name parses as ours and its metadata names us. What is not
 * provably ours is never touched.
 */
export function isOurs(name: string, domainXml: string, installation: string): boolean {
  if (!isOurMachine(name, installation)) return false;
  const owner = fromXml(domainXml).at("domain", "metadata", "testbed:owner");
  return (
    owner.attribute("xmlns:testbed") === NAMESPACE &&
    owner.attribute("installation") === installation
  );
}
