import { closed } from "./closed.ts";
import { drainRequestSchema, hostListSchema, hostSchema } from "./host-view.ts";
import type { Route } from "./route.ts";
import { newTokenSchema, tokenListSchema, tokenRequestSchema } from "./token.ts";
import { hostName, tokenId } from "./values.ts";

/** What admins ask, and what says how the service is. */

const SMALL_BYTES_MAX = 16 * 1024;

const ofHost = closed({ host: hostName }, "host");

const theHost = { says: "The host.", type: "application/json", schema: hostSchema } as const;

export const ADMIN_ROUTES = {
  listHosts: {
    method: "GET",
    path: "/v1/hosts",
    roles: ["admin", "submitter", "viewer"],
    summary: "Lists the hosts: what they have, what they do and since when, what broke there.",
    answers: { 200: { says: "All hosts.", type: "application/json", schema: hostListSchema } },
    problems: [],
  },
  drainHost: {
    method: "POST",
    path: "/v1/hosts/{host}/drain",
    roles: ["admin"],
    summary: "Gives the host nothing new; what runs there finishes. Twice is safe.",
    parameters: { path: ofHost },
    body: { type: "application/json", schema: drainRequestSchema, bytesMax: SMALL_BYTES_MAX },
    answers: { 200: theHost },
    problems: ["not-found", "too-large", "wrong-media"],
  },
  resumeHost: {
    method: "POST",
    path: "/v1/hosts/{host}/resume",
    roles: ["admin"],
    summary: "Gives the host work again. Twice is safe.",
    parameters: { path: ofHost },
    answers: { 200: theHost },
    problems: ["not-found"],
  },
  createToken: {
    method: "POST",
    path: "/v1/tokens",
    roles: ["admin"],
    summary: "Makes a token and shows its secret, this once.",
    body: { type: "application/json", schema: tokenRequestSchema, bytesMax: SMALL_BYTES_MAX },
    answers: { 201: { says: "The token.", type: "application/json", schema: newTokenSchema } },
    problems: ["too-large", "wrong-media", "full"],
  },
  listTokens: {
    method: "GET",
    path: "/v1/tokens",
    roles: ["admin"],
    summary: "Lists tokens without their secrets, revoked ones too.",
    answers: { 200: { says: "All tokens.", type: "application/json", schema: tokenListSchema } },
    problems: [],
  },
  revokeToken: {
    method: "DELETE",
    path: "/v1/tokens/{token}",
    roles: ["admin"],
    summary: "Revokes a token at once. Twice is safe.",
    parameters: {
      path: closed({ token: tokenId }, "token"),
    },
    answers: { 204: { says: "It is revoked." } },
    problems: ["not-found"],
  },
  isAlive: {
    method: "GET",
    path: "/healthz",
    roles: "anyone",
    summary: "Tells that the process answers.",
    answers: { 200: { says: "It does.", type: "text/plain" } },
    problems: [],
  },
  isReady: {
    method: "GET",
    path: "/readyz",
    roles: "anyone",
    summary: "Tells whether the service takes work: its store answers and its disk has room.",
    answers: { 200: { says: "It does.", type: "text/plain" } },
    problems: ["full"],
  },
  readMetrics: {
    method: "GET",
    path: "/metrics",
    roles: ["admin", "viewer"],
    summary: "Gives the service's numbers as Prometheus reads them.",
    answers: { 200: { says: "The numbers.", type: "text/plain" } },
    problems: [],
  },
  readOpenApi: {
    method: "GET",
    path: "/openapi.json",
    roles: "anyone",
    summary: "Gives this table as OpenAPI 3.1.",
    answers: {
      200: { says: "The document.", type: "application/json", schema: { type: "object" } },
    },
    problems: [],
  },
} as const satisfies Record<string, Route>;
