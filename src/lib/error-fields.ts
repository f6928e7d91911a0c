/** What the log keeps of an error. Plain data of bounded size. */
export type ErrorFields = {
  readonly name: string;
  /** The stable code of a fault of ours, or Node's. */
  readonly code?: string | number;
  readonly message: string;
  readonly stack?: string;
  /** What caused it, innermost last; of an error of several also those. */
  readonly causes?: readonly Omit<ErrorFields, "causes">[];
};

const CAUSES_MAX = 8;
const MESSAGE_CHARACTERS_MAX = 2_000;
const STACK_CHARACTERS_MAX = 4_000;

/**
 * An error with everything that led to it, at most eight causes, also where causes go in a circle: `cause`, the parts of an
 * AggregateError, and both sides of a SuppressedError. Own properties but `code` are left out: evidence is not for the log.
 */
export function errorFields(error: unknown): ErrorFields {
  const chain: unknown[] = [error];
  for (let at = 0; at < chain.length && chain.length <= CAUSES_MAX; at += 1)
    for (const cause of causesOf(chain[at]))
      if (!chain.includes(cause) && chain.length <= CAUSES_MAX) chain.push(cause);
  const [first, ...causes] = chain.map(fieldsOf) as [ErrorFields, ...ErrorFields[]];
  return causes.length === 0 ? first : { ...first, causes };
}

function causesOf(error: unknown): readonly unknown[] {
  if (!(error instanceof Error)) return [];
  const parts = error instanceof AggregateError ? error.errors : [];
  const both = error instanceof SuppressedError ? [error.error, error.suppressed] : [];
  return [error.cause, ...parts, ...both].filter((cause) => cause !== undefined);
}

function fieldsOf(error: unknown): Omit<ErrorFields, "causes"> {
  if (!(error instanceof Error))
    return { name: typeof error, message: cut(String(error), MESSAGE_CHARACTERS_MAX) };
  const { code } = error as { code?: unknown };
  return {
    name: error.name,
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    message: cut(error.message, MESSAGE_CHARACTERS_MAX),
    ...(error.stack === undefined ? {} : { stack: cut(error.stack, STACK_CHARACTERS_MAX) }),
  };
}

function cut(text: string, charactersMax: number): string {
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax)}…`;
}
