import type { CollectionCaps } from "./guest-options.ts";
import type { RefusalCount } from "./refusals.ts";

/** What the file thread is asked for. `stream` says to which folder or harvest a request belongs. */
export type FileRequest =
  /** Begins to read a folder as an archive; `next` gives its next piece. Abandoning twice is safe. */
  | { readonly kind: "read"; readonly stream: number; readonly folder: string }
  | { readonly kind: "next"; readonly stream: number }
  | { readonly kind: "abandon"; readonly stream: number }
  /** Begins a harvest, into a folder that exists and is nobody else's. Pieces come in the shared memory. */
  | {
      readonly kind: "harvest";
      readonly stream: number;
      readonly folder: string;
      readonly caps: CollectionCaps;
      readonly memory: SharedArrayBuffer;
    }
  /** Begins an archive; then its pieces; then its end, where one that is not whole is no error. */
  | { readonly kind: "offer"; readonly stream: number }
  | Piece
  | { readonly kind: "offer-end"; readonly stream: number; readonly isWhole: boolean }
  /** Ends the harvest. */
  | { readonly kind: "settle"; readonly stream: number };

export type Piece = {
  readonly kind: "piece";
  readonly stream: number;
  /** Where it lies in the shared memory, which stays as it is until the reply. */
  readonly start: number;
  readonly bytes: number;
};

export type FileReply = {
  readonly id: number;
  /** The next piece of what is read; absent at its end. */
  readonly content?: Uint8Array<ArrayBuffer>;
  /** What was refused in the offer that ended. */
  readonly refused?: RefusalCount;
  /** The offer ended in the middle of a file, which was refused: there may be more to offer. */
  readonly isCutShort?: boolean;
  readonly stored?: Stored;
  readonly error?: FileError;
};

/** Files in columns, since a thousand objects cost more to pass on than a thousand files to write. */
export type Stored = {
  /** One a line. */
  readonly paths: string;
  readonly bytes: Float64Array;
  /** 64 hexadecimal digits each, one behind the other. */
  readonly sha256: string;
};

export type FileError = {
  /** `guest`: an archive that breaks off, is none, or is larger than anybody agreed to take. */
  readonly blame: "guest" | "host";
  readonly code: string | undefined;
  readonly message: string;
  /** The file that could not be read. */
  readonly path?: string;
};
