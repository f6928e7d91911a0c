import { stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Images } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { Ended } from "#job/verdict.ts";

/** Images under test. `known` is the name of one that there is; `folder` is free for overlays. */
export type ImagesRoom = AsyncDisposable & {
  readonly images: Images;
  readonly known: string;
  readonly folder: string;
};

const inTime = () => AbortSignal.timeout(60_000);
const silently = () => undefined;

/** What every catalogue promises; nothing else may be relied on by the runner. */
export function describeImages(name: string, make: () => Promise<ImagesRoom>): void {
  describe(name, () => {
    test("a name, its version and its digest lead to the same image", async () => {
      await using room = await make();
      const image = await room.images.resolve(room.known, silently, inTime());
      expect(image.name).toBe(room.known);
      expect(image.digest).toMatch(/^[0-9a-f]{64}$/);
      for (const reference of [
        room.known,
        `${room.known}:${image.version}`,
        `${room.known}@sha256:${image.digest}`,
      ])
        expect(await room.images.resolve(reference, silently, inTime())).toEqual(image);
    });

    test("two that ask at once get the same image", async () => {
      await using room = await make();
      const ask = () => room.images.resolve(room.known, silently, inTime());
      const [one, other] = await Promise.all([ask(), ask()]);
      expect(one).toEqual(other);
    });

    test.each([
      "no-such-image",
      "known:0.0-none",
      `known@sha256:${"0".repeat(64)}`,
      "",
      "Known",
      "../known",
      "known:",
      "known@sha256:abc",
      "known@md5:00",
      "known name",
      "known\n",
      "-known",
      "k".repeat(100_000),
    ])("'%.40s' is an unknown image, and the fault lists what there is", async (written) => {
      await using room = await make();
      await room.images.resolve(room.known, silently, inTime());
      const reference = written.replace("known", room.known);
      const fault = await room.images.resolve(reference, silently, inTime()).catch(Fault.from);
      expect(fault).toMatchObject({ code: "image-unknown" });
      expect((fault as Fault).message).toContain(room.known);
      expect((fault as Fault).message.length).toBeLessThan(1_000);
    });

    test("an aborted call ends with the signal's own reason", async () => {
      await using room = await make();
      const reason = new Ended("cancelled", "Ctrl-C");
      const asked = room.images.resolve(room.known, silently, AbortSignal.abort(reason));
      await expect(asked).rejects.toBe(reason);
    });

    test("an image can be held by several at once, and given back twice", async () => {
      await using room = await make();
      const image = await room.images.resolve(room.known, silently, inTime());
      const holds = [
        await room.images.hold(image, inTime()),
        await room.images.hold(image, inTime()),
      ];
      for (const hold of holds) {
        expect(hold).toBeDefined();
        await hold?.[Symbol.asyncDispose]();
        await hold?.[Symbol.asyncDispose]();
      }
      expect(await room.images.resolve(room.known, silently, inTime())).toEqual(image);
    });

    test("an image that is no longer there cannot be held", async () => {
      await using room = await make();
      const image = await room.images.resolve(room.known, silently, inTime());
      const gone = { ...image, digest: "0".repeat(64) };
      expect(await room.images.hold(gone, inTime())).toBeUndefined();
    });

    test("a hold that is not wanted any more ends with the signal's own reason", async () => {
      await using room = await make();
      const image = await room.images.resolve(room.known, silently, inTime());
      const reason = new Ended("cancelled", "Ctrl-C");
      await expect(room.images.hold(image, AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    test("an overlay is a file of its own, also of a larger disk", async () => {
      await using room = await make();
      const image = await room.images.resolve(room.known, silently, inTime());
      const [same, larger] = [join(room.folder, "same"), join(room.folder, "larger")];
      await room.images.overlay(image, same, undefined, inTime());
      await room.images.overlay(image, larger, image.disk.virtualMiB + 100, inTime());
      expect((await stat(same)).isFile()).toBe(true);
      expect((await stat(larger)).isFile()).toBe(true);
    });

    test("a disk smaller than the image is refused, and nothing is left", async () => {
      await using room = await make();
      const image = await room.images.resolve(room.known, silently, inTime());
      const path = join(room.folder, "smaller");
      const fault = await room.images
        .overlay(image, path, image.disk.virtualMiB - 1, inTime())
        .catch(Fault.from);
      expect(fault).toMatchObject({ code: "disk-too-small", blame: "job" });
      await expect(stat(path)).rejects.toThrow("ENOENT");
    });
  });
}
