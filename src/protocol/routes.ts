import { ADMIN_ROUTES } from "./admin-routes.ts";
import { INPUT_ROUTES, JOB_ROUTES } from "./job-routes.ts";
import { LEASE_ROUTES } from "./lease-routes.ts";

/**
 * Everything that can be asked of the job service: the one source of the API's handlers, of the client's calls and of
 * OpenAPI. A key is the operation's name there.
 */
export const ROUTES = { ...JOB_ROUTES, ...INPUT_ROUTES, ...LEASE_ROUTES, ...ADMIN_ROUTES } as const;
