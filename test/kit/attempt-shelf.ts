import { mkdir, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** An attempt on disk, as some daemon left it. */
export type ShelfOrder = {
  readonly state: "open" | "finished" | "aside" | "unreadable";
  /** Since so many minutes. */
  readonly minutes?: number;
  /** By path in its folder, with their lengths. */
  readonly files?: Readonly<Record<string, number>>;
};

/** Lays an attempt's folder down in a state folder. */
export async function layAttempt(
  state: string,
  name: string,
  { state: as, minutes = 1, files = {} }: ShelfOrder,
): Promise<string> {
  const folder = join(state, "attempts", name);
  await mkdir(join(folder, "results/steps"), { recursive: true });
  await mkdir(join(folder, "inputs"), { recursive: true });
  const [jobId = "", attempt = "1"] = name.split("-");
  const grant = JSON.stringify({ grant: { jobId, attempt: Number(attempt) }, begunAtMs: 1 });
  await writeFile(join(folder, "grant.json"), as === "unreadable" ? "{" : grant);
  if (as === "finished" || as === "aside") await writeFile(join(folder, "verdict.json"), "{}");
  if (as === "aside") await writeFile(join(folder, "set-aside.txt"), "the lease was lost\n");
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), Buffer.alloc(bytes, "x"));
  }
  const since = new Date(Date.now() - minutes * 60_000);
  for (const file of ["grant.json", "verdict.json", "set-aside.txt", "."])
    await utimes(join(folder, file), since, since).catch(() => undefined);
  return folder;
}
