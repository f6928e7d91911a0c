import { NoAnswer } from "#lib/http-client.ts";
import { compileSchema } from "#lib/validate.ts";
import { type Grant, grantSchema } from "#protocol/lease.ts";

/**
 * What this host needs of a lease before it has looked at the job: ids become names of folders, numbers become timers. The job
 * itself is looked at later, so that one that is not understood can be reported as such; a newer service may say more.
 */
const violations = compileSchema(
  {
    type: "object",
    required: grantSchema.required,
    properties: {
      ...grantSchema.properties,
      job: {
        type: "object",
        required: ["image", "steps"],
        properties: {
          image: { type: "string" },
          steps: {
            type: "array",
            maxItems: 100,
            items: {
              type: "object",
              required: ["name"],
              properties: { name: { type: "string", maxLength: 1000 } },
            },
          },
        },
      },
    },
  },
  "first",
);

/** The lease that was given, if it is one. Throws `NoAnswer` when it is none. */
export function checkGrant(grant: Grant | undefined): Grant | undefined {
  if (grant === undefined) return undefined;
  const [wrong] = violations(grant);
  if (wrong === undefined) return grant;
  const place = wrong.path.join(".");
  throw new NoAnswer(`what answers is no job service: its lease has ${place} ${wrong.says[0]}`);
}
