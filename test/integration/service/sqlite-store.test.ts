import { describeStore } from "#test/contract/store.contract.ts";
import { sqliteStoreRoom } from "#test/kit/store-room.ts";

describeStore("the SQLite store", sqliteStoreRoom);
