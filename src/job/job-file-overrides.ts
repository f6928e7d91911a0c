import { parse } from "yaml";
import { jobFileSchema } from "./job-file-schema.ts";

/** What the command line changes in a job file: `--image I` and each `--set key=value`. */
export type Override = {
  /** As the person wrote it, for messages: `--set timeout=2m`. */
  readonly option: string;
  readonly path: readonly string[];
  readonly value: string;
};

/** A plain reading of the part of JSON Schema that `jobFileSchema` is made of. */
type Shape = {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly additionalProperties?: boolean | Shape;
  readonly items?: Shape;
};

/**
 * `key.path=value` as an override; undefined when it is not of that form. Keys are divided by dots, list positions are
 * numbers from 0.
 */
export function parseOverride(assignment: string): Override | undefined {
  const at = assignment.indexOf("=");
  const path = assignment.slice(0, Math.max(at, 0)).split(".");
  if (at === -1 || path.length > 8 || path.some((key) => key === "")) return undefined;
  return { option: `--set ${assignment}`, path, value: assignment.slice(at + 1) };
}

/**
 * Puts an override into a job file's data. Text stays text where the schema wants text; whole numbers, lists and mappings
 * are read as YAML. Missing mappings and lists on the way are made. Returns what is wrong, or undefined when it is done;
 * whether the value fits is the validator's business.
 */
export function applyOverride(root: unknown, { path, value }: Override): string | undefined {
  if (!isObject(root)) return undefined; // The validator says that the file is no mapping.
  let at: Record<string, unknown> | unknown[] = root;
  let shape: Shape | undefined = jobFileSchema as Shape;
  for (const [depth, key] of path.entries()) {
    if (Array.isArray(at) && !(/^\d{1,4}$/.test(key) && Number(key) <= at.length)) {
      const list = path.slice(0, depth).join(".");
      return `${list} is a list of ${at.length}; give a position from 0 to ${at.length}`;
    }
    shape = shapeOf(shape, key);
    const container = at as Record<string, unknown>;
    if (depth === path.length - 1) {
      container[key] = typed(value, shape);
      return undefined;
    }
    if (!Object.hasOwn(container, key) || container[key] === null) {
      container[key] = shape?.type === "array" ? [] : Object.create(null);
    }
    const next: unknown = container[key];
    if (!isObject(next)) return `${path.slice(0, depth + 1).join(".")} has no keys to set`;
    at = next;
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> | unknown[] {
  return typeof value === "object" && value !== null;
}

function shapeOf(shape: Shape | undefined, key: string): Shape | undefined {
  if (shape?.properties !== undefined && Object.hasOwn(shape.properties, key)) {
    return shape.properties[key];
  }
  const rest = shape?.items ?? shape?.additionalProperties;
  return typeof rest === "object" ? rest : undefined;
}

function typed(value: string, shape: Shape | undefined): unknown {
  if (shape?.type === "integer") return /^-?\d{1,15}$/.test(value) ? Number(value) : value;
  if (shape?.type !== "array" && shape?.type !== "object") return value;
  try {
    return parse(value, { schema: "core", maxAliasCount: 0, logLevel: "error" }) as unknown;
  } catch {
    return value;
  }
}
