import type { Boot } from "#host/runner/ports.ts";

/** How an image boots whose kernel lies beside its disk; fails for any other. */
export function kernelBoot<B extends Pick<Boot, "kind">>({
  boot,
}: {
  readonly boot: B;
}): Extract<B, { readonly kind: "kernel" }> {
  if (boot.kind !== "kernel") throw new Error(`boots by ${boot.kind}`);
  return boot as Extract<B, { readonly kind: "kernel" }>;
}
