import type { Row } from "./row.ts";

const JOURNAL = "test/unit/state/attempt-journal.test.ts";
const FOLDERS = "test/unit/state/attempt-folders.test.ts";
const RESTARTS = "test/integration/daemon/restarts.test.ts";

/** Data. */
export const SECTION_G: readonly Row[] = [
  {
    id: "F-95",
    phase: "any",
    fault: "the last record of a journal is torn, at each of its bytes",
    where: "fakes",
    provenBy: [
      { file: JOURNAL, test: "cut off at any byte, only the last line is lost" },
      { file: JOURNAL, test: "what a process that died left of a line is written over" },
    ],
  },
  {
    id: "F-96",
    phase: "any",
    fault: "a bit of a journal flips, anywhere",
    where: "fakes",
    provenBy: [
      {
        file: JOURNAL,
        test: "a bit that flipped anywhere is noticed, but for the end of the last line, which is as good as not written",
      },
      {
        file: RESTARTS,
        test: "an attempt whose journal is damaged is told of as such, and its journal is kept",
      },
    ],
  },
  {
    id: "F-98",
    phase: "any",
    fault: "files beside the journal are missing, half made, or cannot be read",
    where: "fakes",
    provenBy: [
      {
        file: FOLDERS,
        test: "what a crash left half made or half removed is gone at the next start; what cannot be read is nobody's",
      },
      {
        file: "test/unit/upkeep/check-state.test.ts",
        test: "an attempt that cannot be read is set aside, unless the daemon is at work on it",
      },
    ],
  },
  {
    id: "F-99",
    phase: "any",
    fault: "killed while a journal is compacted",
    notTried:
      "a journal lives as long as its attempt and is only ever appended to: there is no compaction; the service's database is F-68",
  },
  {
    id: "F-101",
    phase: "delivering",
    fault: "what waits for the service is other than it was",
    where: "fakes",
    provenBy: [
      {
        file: "test/integration/service/log-files.test.ts",
        test: "the same bytes again are recognised, other bytes at the same place are not",
      },
      {
        file: "test/integration/service/content-files.test.ts",
        test: "what has another digest, or another length, is thrown away",
      },
      {
        file: "test/integration/daemon/uplink.test.ts",
        test: "an artifact that has another digest than it had is sent once",
      },
    ],
  },
];
