import type { HandlersOf } from "./ask.ts";
import { demandRoom } from "./job-handlers.ts";
import { Refusal } from "./refusal.ts";
import type { Rooms } from "./rooms.ts";
import { haveReply, takeUpload } from "./upload.ts";

/** What submitters send before their jobs. An input counts for its owner alone. */
export function inputHandlers(rooms: Rooms): HandlersOf<"haveInput" | "writeInput"> {
  const { store, contents } = rooms;
  return {
    async haveInput({ token, path: { sha256 } }) {
      const have = await contents.have({ kind: "input", owner: token.name, sha256 });
      if (!have.isComplete && have.haveBytes === 0) throw new Refusal("not-found");
      // The service may have died after the last byte and before the note.
      if (have.isComplete) await store.addInput(token.name, sha256, have.haveBytes);
      return haveReply(have);
    },

    async writeInput(ask) {
      const { token, path } = ask;
      await demandRoom(rooms);
      const key = { kind: "input", owner: token.name, sha256: path.sha256 } as const;
      const have = await takeUpload(rooms, key, ask);
      if (have.isComplete) await store.addInput(token.name, path.sha256, have.haveBytes);
      return haveReply(have);
    },
  };
}
