// serve.mjs FOLDER CERTIFICATE KEY: serves the files of a folder over HTTPS on 127.0.0.1, for walkthrough.sh. Prints its
// address when it listens, and ends with SIGTERM. A catalogue needs no more of a server than this: plain files, and Range so
// that a fetch that broke off goes on where it ended. Any web server has both.
import { createReadStream } from "node:fs";
import { readFile, realpath, stat } from "node:fs/promises";
import { createServer } from "node:https";
import { join, sep } from "node:path";

const [folder, certificate, key] = process.argv.slice(2);
const root = await realpath(folder);
const credentials = { cert: await readFile(certificate), key: await readFile(key) };

const server = createServer(credentials, (request, reply) => {
  answer(request, reply).catch(() => reply.destroy());
});
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`https://127.0.0.1:${server.address().port}\n`);
});

async function answer(request, reply) {
  const path = await fileOf(request.url);
  if (path === undefined) return reply.writeHead(404).end();
  const { size, mtimeMs } = await stat(path);
  const etag = `"${size}-${mtimeMs}"`;
  const from = beginOf(request.headers, etag);
  if (from > 0 && from >= size) return reply.writeHead(416).end();
  reply.setHeader("etag", etag);
  reply.setHeader("content-length", size - from);
  if (from > 0) reply.setHeader("content-range", `bytes ${from}-${size - 1}/${size}`);
  reply.writeHead(from > 0 ? 206 : 200);
  if (request.method === "HEAD" || size === 0) return reply.end();
  createReadStream(path, { start: from })
    .on("error", () => reply.destroy())
    .pipe(reply);
}

/** The regular file below the folder that an address means, links followed; undefined when there is none. */
async function fileOf(url) {
  try {
    const path = await realpath(join(root, decodeURIComponent(new URL(url, "https://x").pathname)));
    return path.startsWith(root + sep) && (await stat(path)).isFile() ? path : undefined;
  } catch {
    return undefined;
  }
}

/** The first byte that is wanted: all of a file that is no longer the one that the asker has the beginning of. */
function beginOf({ range = "", "if-range": known = "" }, etag) {
  const [, from = "0"] = /^bytes=(\d{1,15})-$/.exec(range) ?? [];
  return known === "" || known === etag ? Number(from) : 0;
}
