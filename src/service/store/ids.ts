import { randomFillSync } from "node:crypto";

/** Random bytes are drawn by the page: the system call takes longer than all else that an id takes. */
const POOL = Buffer.alloc(4096);
let used = POOL.length;

/** So many random bytes, 1 to 32, as hexadecimal digits, good enough for secrets. */
export function randomId(bytes: number): string {
  if (used + bytes > POOL.length) {
    randomFillSync(POOL);
    used = 0;
  }
  const id = POOL.toString("hex", used, used + bytes);
  // What was given out is forgotten here.
  POOL.fill(0, used, used + bytes);
  used += bytes;
  return id;
}

/**
 * 32 hexadecimal digits that grow with time: 6 bytes of milliseconds since 1970, then 10 random ones. In an index those that
 * are made together lie together, so that a transaction writes one page of it instead of one for each.
 */
export function growingId(wallMs: number): string {
  return wallMs.toString(16).padStart(12, "0") + randomId(10);
}
