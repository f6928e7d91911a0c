import { FakeImages } from "#test/fakes/fake-images.ts";
import { PAPER_IMAGE } from "#test/kit/orders.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { describeImages } from "./images.contract.ts";

describeImages("the fake images", async () => {
  const folder = await scratchFolder();
  return {
    images: new FakeImages(),
    known: PAPER_IMAGE.name,
    folder: folder.path,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
});
