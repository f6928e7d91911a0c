import { memoryStoreRoom } from "#test/kit/store-room.ts";
import { describeStore } from "./store.contract.ts";

describeStore("the store in memory", memoryStoreRoom);
