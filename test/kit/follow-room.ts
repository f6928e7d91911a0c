import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CatalogueDocument, CatalogueImage } from "#host/images/catalogue/document-schema.ts";
import type { RefreshReport } from "#host/images/follow/refresh.ts";
import { openSource, type SourceSettings } from "#host/images/follow/source.ts";
import type { ImagePlaces } from "#host/images/image-places.ts";
import { type LocalImages, localImages } from "#host/images/local-images.ts";
import { type Entry, readEntry } from "#host/images/store/entry.ts";
import type { Image, TrialOutcome } from "#host/runner/ports.ts";
import { type Answer, type FileServer, fileServer, serve } from "./file-server.ts";
import { type MinisignKey, minisignKey } from "./minisign-key.ts";
import { EXPIRES } from "./sample-catalogue.ts";
import { scratchFolder } from "./scratch.ts";

const inTime = () => AbortSignal.timeout(50_000);

/** A host's images that follow a signed catalogue, whose files lie in a folder and are served from it over HTTPS. */
export type FollowRoom = {
  readonly path: string;
  /** The catalogue's folder. */
  readonly site: string;
  readonly server: FileServer;
  readonly settings: SourceSettings;
  readonly key: MinisignKey;
  readonly places: ImagePlaces;
  readonly images: LocalImages;
  readonly store: string;
  /** What was said of the progress of everything, in order. */
  readonly lines: string[];
  /** What was tried out, `toy:2`, in order. */
  readonly tried: string[];
  /** How machines fare from now on; until then all is well. */
  trial: (image: Image) => TrialOutcome | Promise<TrialOutcome>;
  /** How a path is answered instead of as a good server does. */
  readonly answers: Map<string, Answer>;
  /** Signs the next version of the catalogue. */
  publish(images: readonly CatalogueImage[], change?: Partial<CatalogueDocument>): Promise<void>;
  refresh(...names: readonly string[]): Promise<RefreshReport>;
  resolve(reference: string): Promise<Image>;
  entry(name: string): Promise<Entry | undefined>;
  /** How often each path was asked for, without the catalogue itself. */
  asked(): Readonly<Record<string, number>>;
};

/** `kind` says how the host gets at the catalogue. The server is there in any case. */
export async function followRoom(
  kind: "https" | "folder" = "https",
  change: Partial<ImagePlaces> = {},
): Promise<FollowRoom & AsyncDisposable> {
  await using scope = new AsyncDisposableStack();
  const { path } = scope.use(await scratchFolder());
  const server = scope.use(await fileServer());
  const site = join(path, "site");
  await mkdir(site);
  const answers: FollowRoom["answers"] = new Map();
  server.answers(async (request, reply) => {
    const asked = request.url ?? "/";
    const answer = answers.get(asked) ?? (await answerOf(join(site, asked)));
    answer(request, reply);
  });
  const key = minisignKey();
  const isFolder = kind === "folder";
  const settings: SourceSettings = {
    url: isFolder ? undefined : `https://localhost:${server.port}/catalogue.json`,
    path: isFolder ? site : undefined,
    ...{ keys: [key.publicLine], allowUnsigned: false, hosts: [] },
    ...{ allowAddresses: ["127.0.0.0/8", "::1"], ca: server.ca },
  };
  const store = change.store ?? join(path, "images");
  const places = {
    ...{ store, recipes: [join(path, "recipes")], sources: [openSource(settings)] },
    ...change,
  };
  const [lines, tried]: [string[], string[]] = [[], []];
  let version = 0;
  const kept = scope.move();
  const room: FollowRoom = {
    ...{ path, site, server, settings, key, places, store, lines, tried, answers },
    trial: () => ({ kind: "passed", acceleration: "tcg" }),
    images: localImages(places, {
      tryOut: async (image) => {
        tried.push(`${image.name}:${image.version}`);
        return await room.trial(image);
      },
    }),
    async publish(images, more = {}) {
      version += 1;
      const document = { schema: 1, name: "house", version, expires: EXPIRES, images, ...more };
      version = document.version;
      const text = Buffer.from(JSON.stringify(document));
      await writeFile(join(site, "catalogue.json"), text);
      await writeFile(join(site, "catalogue.json.minisig"), key.sign(text));
    },
    refresh: (...names) => {
      const onProgress = (line: string) => void lines.push(line);
      return room.images.refresh(names, { onProgress, onBytes: () => undefined }, inTime());
    },
    resolve: (reference) => room.images.resolve(reference, (line) => lines.push(line), inTime()),
    entry: (name) => readEntry(places.store, name),
    asked: () => {
      const paths = server.asked.map((one) => one.path);
      const files = paths.filter((one) => !one.startsWith("/catalogue.json"));
      return Object.fromEntries(files.map((one) => [one, files.filter((x) => x === one).length]));
    },
  };
  return Object.assign(room, { [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose]() });
}

async function answerOf(path: string): Promise<Answer> {
  const body = await readFile(path).catch(() => undefined);
  if (body !== undefined) return serve(body);
  return (_request, reply) => reply.writeHead(404).end();
}

/** A trial's outcome by what was tried out, `toy:2`; all else passes. */
export function faring(
  outcomes: Readonly<Record<string, "failed" | "skipped">>,
): (image: Image) => TrialOutcome {
  return ({ name, version }) => {
    const kind = outcomes[`${name}:${version}`] ?? "passed";
    if (kind === "skipped") return { kind, why: "the host is full" };
    return {
      kind,
      acceleration: "tcg",
      ...(kind === "failed" ? { why: "its kernel panics" } : {}),
    } as TrialOutcome;
  };
}
