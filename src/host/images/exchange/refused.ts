/** What was asked for cannot be done, and nothing was: the message says why, and what to do instead. */
export class ExchangeRefused extends Error {
  override readonly name = "ExchangeRefused";
}
