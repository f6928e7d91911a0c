import { PassThrough } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Trouble } from "#host/images/fetch/fetch-faults.ts";
import { paced } from "#host/images/fetch/paced.ts";

const PACE = { windowMs: 50, windowBytes: 10 };

async function read(body: PassThrough, eachMs = 0): Promise<string> {
  let text = "";
  for await (const piece of paced(body, PACE)) {
    text += piece.toString();
    if (eachMs > 0) await delay(eachMs);
  }
  return text;
}

describe("a body", () => {
  test("is waited for as long as enough of it comes in each window", async () => {
    const body = new PassThrough();
    const work = read(body);
    for (let count = 0; count < 4; count += 1) {
      body.write("x".repeat(1000));
      // More is said in each than the next needs.
      await delay(10);
    }
    body.end();
    expect(await work).toHaveLength(4000);
  });

  test("that says nothing is given up, and closed", async () => {
    const body = new PassThrough();
    await expect(read(body)).rejects.toThrow(Trouble);
    expect(body.destroyed).toBe(true);
  });

  test("that was enough once and then says nothing is given up in the window after", async () => {
    const body = new PassThrough();
    body.write("x".repeat(1000));
    await expect(read(body)).rejects.toThrow("sent 0 bytes in 0.05 s");
  });

  test("is not blamed for the time that its reader takes", async () => {
    const body = new PassThrough();
    body.write("a");
    const work = read(body, 2 * PACE.windowMs);
    await delay(PACE.windowMs / 5);
    body.end("b");
    expect(await work).toBe("ab");
  });

  test("that breaks off is a trouble, and a reader that leaves closes it", async () => {
    const broken = new PassThrough();
    broken.destroy(new Error("the cable is out"));
    await expect(read(broken)).rejects.toThrow("broke off: the cable is out");
    const left = new PassThrough();
    left.write("a");
    for await (const _piece of paced(left, PACE)) break;
    expect(left.destroyed).toBe(true);
  });
});
