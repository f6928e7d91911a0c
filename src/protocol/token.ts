import type { Static } from "typebox";
import { ownerName, time, tokenId } from "./values.ts";

/** Who may do what: the role of a token. `submitter` sees and cancels its own jobs, `viewer` sees all and changes nothing. */
export const ROLES = ["admin", "submitter", "host", "viewer"] as const;

/** The role of a token. */
export type Role = (typeof ROLES)[number];

const name = {
  ...ownerName,
  description:
    "Whose token it is: the owner of its jobs and inputs; for the role host, the host's name.",
} as const;

export const tokenRequestSchema = {
  type: "object",
  additionalProperties: false,
  required: ["name", "role"],
  properties: { name, role: { enum: ROLES } },
} as const;

export const tokenSchema = {
  type: "object",
  additionalProperties: false,
  required: ["id", "name", "role", "createdAt"],
  properties: { id: tokenId, name, role: { enum: ROLES }, createdAt: time, revokedAt: time },
} as const;

export const newTokenSchema = {
  type: "object",
  additionalProperties: false,
  required: ["id", "secret"],
  properties: {
    id: tokenId,
    secret: {
      type: "string",
      pattern: "^testbed_[0-9A-Za-z_-]{43}$",
      description: "Shown once; only its hash is kept.",
    },
  },
} as const;

export const tokenListSchema = {
  type: "object",
  additionalProperties: false,
  required: ["tokens"],
  properties: { tokens: { type: "array", maxItems: 10_000, items: tokenSchema } },
} as const;

/** A token without its secret. */
export type TokenView = Static<typeof tokenSchema>;
