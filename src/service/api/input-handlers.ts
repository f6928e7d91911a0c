import type { HandlersOf } from "./ask.ts";
import { demandRoom } from "./job-handlers.ts";
import { Refusal } from "./refusal.ts";
import type { Rooms } from "./rooms.ts";
import { checkTotal, haveReply, takeUpload } from "./upload.ts";

/** What submitters send before their jobs. An input counts for its owner alone. */
export function inputHandlers(rooms: Rooms): HandlersOf<"haveInput" | "writeInput"> {
  const { store, contents, limits } = rooms;

  /** How much there is. What is whole is noted: the service may have died after the last byte and before the note. */
  async function haveNoted(owner: string, sha256: string) {
    const key = { kind: "input", owner, sha256 } as const;
    return contents.holding(key, async () => {
      const have = await contents.have(key);
      if (have.isComplete) await store.addInput(owner, sha256, have.haveBytes);
      return have;
    });
  }

  return {
    async haveInput({ token, path: { sha256 } }) {
      const have = await haveNoted(token.name, sha256);
      if (!have.isComplete && have.haveBytes === 0) throw new Refusal("not-found");
      return haveReply(have);
    },

    async writeInput(ask) {
      const { token, path, query } = ask;
      await demandRoom(rooms);
      checkTotal(rooms, ask);
      const name = { owner: token.name, sha256: path.sha256 };
      const bytesMax = limits.inputBytes;
      const taken = await store.beginInput({ ...name, bytes: query.total, bytesMax });
      if (taken !== undefined) {
        const detail = `inputs of ${token.name} take ${taken} bytes, and ${bytesMax} are allowed; they leave some days after their last use`;
        throw new Refusal("over-quota", { detail });
      }
      const have = await takeUpload(rooms, { kind: "input", ...name }, ask).catch(
        async (error: unknown) => {
          if (error instanceof Refusal && error.slug === "wrong-digest")
            await store.dropUpload(name);
          throw error;
        },
      );
      return haveReply(have.isComplete ? await haveNoted(token.name, path.sha256) : have);
    },
  };
}
