/** What can be asked of the daemon on its own host, and the bodies that it takes, as JSON Schema. */

const image = {
  type: "string",
  pattern: "^[a-z0-9][A-Za-z0-9._:@-]{0,160}$",
  patternErrorMessage: "must be NAME, NAME:VERSION or NAME@sha256:DIGEST",
} as const;
const images = { type: "array", maxItems: 100, items: image } as const;
const oneImage = {
  type: "object",
  additionalProperties: false,
  required: ["image"],
  properties: { image },
} as const;

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
  /** Images in its store, with all that is known of each. */
  imagesStored: { method: "GET", path: "/v1/images/stored", body: nothing },
  /** The same of one. */
  imagesShow: { method: "POST", path: "/v1/images/show", body: oneImage },
  /** Fetch a version of a catalogue's image without using it yet. Answers when it is there. */
  imagesFetch: { method: "POST", path: "/v1/images/fetch", body: oneImage },
  /** Try a stored image out; its name means it when it is good. Answers when that is over. */
  imagesSmoke: { method: "POST", path: "/v1/images/smoke", body: oneImage },
  /** Follow the catalogues: fetch, inspect, try out, switch. Answers when that is over. */
  imagesRefresh: {
    method: "POST",
    path: "/v1/images/refresh",
    body: { type: "object", additionalProperties: false, properties: { images } },
  },
  /** Read images, those named or everything, and name every damage. Answers when all is read. */
  imagesVerify: {
    method: "POST",
    path: "/v1/images/verify",
    body: {
      type: "object",
      additionalProperties: false,
      properties: { images, repair: { type: "boolean" } },
    },
  },
  /** Remove images that nobody needs, or say which those are. Default: as the file of images says. */
  imagesPrune: {
    method: "POST",
    path: "/v1/images/prune",
    body: {
      type: "object",
      additionalProperties: false,
      properties: {
        olderThanSeconds: { type: "integer", minimum: 0, maximum: 2 ** 31 },
        budgetMiB: { type: "integer", minimum: 1, maximum: 2 ** 40 },
        keep: { type: "integer", minimum: 1, maximum: 100 },
        dryRun: { type: "boolean" },
      },
    },
  },
  /** Its numbers, as text for Prometheus, at the path where that looks by itself. */
  metrics: { method: "GET", path: "/metrics", body: nothing },
} as const;

/** The name of something that can be asked. */
export type LocalRouteName = keyof typeof LOCAL_ROUTES;

/** The daemon's socket, in the state folder. */
export const LOCAL_SOCKET = "daemon.sock";
