/** The bits of those flags that are set. */
export function flags(
  ...all: readonly (readonly [isSet: boolean | undefined, bit: number])[]
): number {
  return all.reduce((sum, [isSet, bit]) => (isSet ? sum | bit : sum), 0);
}
