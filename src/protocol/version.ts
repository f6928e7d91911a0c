/**
 * The version of the wire, the first part of every path (`/v1/…`). A newer version may add routes, optional keys of
 * requests and keys of responses; anything else gets a new number.
 */
export const PROTOCOL_VERSION = 1;
