/** What can be asked of the daemon on its own host, and the bodies that it takes, as JSON Schema. */

const nothing = { type: "object", additionalProperties: false, properties: {} } as const;

export const LOCAL_ROUTES = {
  /** What it does now. */
  status: { method: "GET", path: "/v1/status", body: nothing },
  /** Take nothing new, finish what runs; also after a restart. */
  drain: {
    method: "POST",
    path: "/v1/drain",
    body: {
      type: "object",
      additionalProperties: false,
      properties: {
        why: {
          type: "string",
          pattern: "^[^\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}]{1,500}$",
          patternErrorMessage: "must be 1 to 500 characters on one line",
        },
      },
    },
  },
  /** Take work again. */
  resume: { method: "POST", path: "/v1/resume", body: nothing },
  /** Machines of this installation, whoever made them. */
  machines: { method: "GET", path: "/v1/machines", body: nothing },
  /** Images that this host has or can make. */
  images: { method: "GET", path: "/v1/images", body: nothing },
  /** Its numbers, as text for Prometheus, at the path where that looks by itself. */
  metrics: { method: "GET", path: "/metrics", body: nothing },
} as const;

/** The name of something that can be asked. */
export type LocalRouteName = keyof typeof LOCAL_ROUTES;

/** The daemon's socket, in the state folder. */
export const LOCAL_SOCKET = "daemon.sock";
