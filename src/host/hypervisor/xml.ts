import assert from "node:assert/strict";
import { XMLBuilder, XMLParser } from "fast-xml-parser";

/** A piece of XML as data: `@name` keys are attributes, `#text` is text, lists repeat the element. */
export type XmlNode = { readonly [key: string]: XmlValue | undefined };
type XmlValue = string | number | XmlNode | readonly XmlValue[];

const builder = new XMLBuilder({
  attributeNamePrefix: "@",
  ignoreAttributes: false,
  suppressEmptyNode: true,
  suppressBooleanAttributes: false,
  format: true,
});

const parser = new XMLParser({
  attributeNamePrefix: "@",
  ignoreAttributes: false,
  parseAttributeValue: false,
  parseTagValue: false,
  processEntities: true,
});

/** Serialises one document; markup in values is escaped. Values with characters that XML 1.0 cannot carry are a bug. */
export function toXml(root: XmlNode): string {
  refuseControls(root);
  return builder.build(root);
}

/** Reads XML that libvirt wrote. Elements that stand once are objects, repeated ones arrays: see `listOf`. */
export function fromXml(text: string): XmlTree {
  return new XmlTree(parser.parse(text));
}

/** A read-only walk through parsed XML that never throws: what is missing is empty. */
export class XmlTree {
  readonly #value: unknown;
  constructor(value: unknown) {
    this.#value = value;
  }

  /** The first element at a path of names. */
  at(...path: readonly string[]): XmlTree {
    return path.reduce<XmlTree>((tree, name) => tree.all(name)[0] ?? new XmlTree(undefined), this);
  }

  /** All child elements of a name. */
  all(name: string): readonly XmlTree[] {
    const child = isRecord(this.#value) ? this.#value[name] : undefined;
    if (child === undefined) return [];
    return (Array.isArray(child) ? child : [child]).map((value) => new XmlTree(value));
  }

  attribute(name: string): string | undefined {
    const value = isRecord(this.#value) ? this.#value[`@${name}`] : undefined;
    return typeof value === "string" ? value : undefined;
  }

  get text(): string {
    if (typeof this.#value === "string") return this.#value;
    const text = isRecord(this.#value) ? this.#value["#text"] : undefined;
    return typeof text === "string" ? text : "";
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function refuseControls(value: unknown): void {
  if (typeof value === "string") {
    // Control characters but tab and line ends: XML 1.0 has no way to write most of them (Extensible Markup Language, 2.2).
    assert(!/[^\P{Cc}\t\n\r]/u.test(value), "control character in XML");
  } else if (isRecord(value)) {
    for (const child of Object.values(value)) refuseControls(child);
  }
}
