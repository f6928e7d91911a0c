import { stringify } from "yaml";

/** Plain data as YAML, fit to be read and written as a file again. */
export function yamlText(data: unknown): string {
  return stringify(data, { lineWidth: 120 });
}
