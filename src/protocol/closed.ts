/**
 * A closed object schema, as parameters of a route are: the keys that there may be, then the names of those that must be. Without
 * TypeBox's own builders: see `job/job-file-schema.ts`.
 */
export function closed<
  const P extends Readonly<Record<string, object>>,
  const R extends readonly (keyof P & string)[],
>(properties: P, ...required: R) {
  return { type: "object", additionalProperties: false, required, properties } as const;
}
