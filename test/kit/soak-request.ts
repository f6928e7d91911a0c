/** What a soak is to do, and where it leaves its summary: said by the script that runs it, in its environment. */
export type SoakRequest<Order> = { readonly order: Order; readonly summaryPath: string };

const NAME = "TESTBED_SOAK";

export function soakRequest<Order>(): SoakRequest<Order> {
  return JSON.parse(process.env[NAME] ?? "") as SoakRequest<Order>;
}

/** The environment that says so. */
export function soakEnvironment<Order>(
  request: SoakRequest<Order>,
): Readonly<Record<string, string>> {
  return { [NAME]: JSON.stringify(request) };
}
