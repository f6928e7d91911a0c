import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeFrame, FrameError, FrameSplitter } from "#libvirt/frame.ts";

const frames = fc.record({
  program: fc.integer({ min: 0, max: 0xffff_ffff }),
  version: fc.integer({ min: 0, max: 0xffff_ffff }),
  procedure: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  type: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  serial: fc.integer({ min: 0, max: 0xffff_ffff }),
  status: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
});

test("messages come out as they went in, however the stream is cut", () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.array(frames, { maxLength: 12 }), cuts, (sent, sizes) => {
      let stream = Buffer.concat(sent.map(encodeFrame));
      const splitter = new FrameSplitter();
      const got: unknown[] = [];
      for (let turn = 0; stream.length > 0; turn += 1) {
        const size = sizes[turn % sizes.length] ?? 1;
        for (const frame of splitter.push(stream.subarray(0, size)))
          got.push({ ...frame, payload: Buffer.from(frame.payload) });
        stream = stream.subarray(size);
      }
      expect(got).toEqual(sent);
    }),
  );
});

test.each([0, 1, 27, 32 * 1024 * 1024 + 5, 0x7fff_ffff, 0xffff_ffff])(
  "a length of %i is refused before anything else is read",
  (length) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(length);
    expect(() => [...new FrameSplitter().push(bytes)]).toThrow(FrameError);
  },
);

test("random bytes are messages or a FrameError", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), (pieces) => {
      const splitter = new FrameSplitter();
      try {
        for (const piece of pieces) Array.from(splitter.push(Buffer.from(piece)));
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError);
      }
    }),
  );
});

test("a message of the full 32 MiB that comes in small pieces takes memory for itself only", () => {
  const length = 32 * 1024 * 1024 + 4;
  const message = encodeFrame({
    program: 1,
    version: 1,
    procedure: 1,
    type: 1,
    serial: 1,
    status: 0,
    payload: Buffer.alloc(length - 28),
  });
  const splitter = new FrameSplitter();
  const before = process.memoryUsage().arrayBuffers;
  expect(Array.from(splitter.push(message.subarray(0, 1_000)))).toEqual([]);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024);
  let got = 0;
  for (let at = 1_000; at < length; at += 4_000)
    for (const { payload } of splitter.push(message.subarray(at, at + 4_000)))
      got += payload.length;
  expect(got).toBe(length - 28);
});
