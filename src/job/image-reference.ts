/** What a job may write to name an image: `name`, `name:version` or `name@sha256:<64 hex digits>`. */
export type ImageReference = {
  readonly name: string;
  readonly version?: string;
  readonly digest?: string;
};

const REFERENCE =
  /^(?<name>[a-z0-9][a-z0-9-]{0,62})(?::(?<version>[A-Za-z0-9][A-Za-z0-9._-]{0,31})|@sha256:(?<digest>[0-9a-f]{64}))?$/;

/** The parts of a reference, or undefined when it is none. */
export function parseImageReference(text: string): ImageReference | undefined {
  const groups = REFERENCE.exec(text)?.groups;
  if (groups?.["name"] === undefined) return undefined;
  const { name, version, digest } = groups;
  return {
    name,
    ...(version === undefined ? {} : { version }),
    ...(digest === undefined ? {} : { digest }),
  };
}
