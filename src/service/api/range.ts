import type { Span } from "#service/file-ports.ts";
import { Refusal } from "./refusal.ts";

/** The bytes that a Range header (RFC 9110, section 14) asks for of so many; its form was checked. Refuses what is not there. */
export function spanOf(range: string, sizeBytes: number): Span {
  const [first = "", last = ""] = range.slice("bytes=".length).split("-");
  const span =
    first === ""
      ? { first: Math.max(0, sizeBytes - Number(last)), last: sizeBytes - 1 }
      : {
          first: Number(first),
          last: Math.min(last === "" ? sizeBytes - 1 : Number(last), sizeBytes - 1),
        };
  const isReversed = first !== "" && last !== "" && Number(last) < Number(first);
  if (isReversed || span.first > span.last) {
    const detail = `there are ${sizeBytes} bytes`;
    throw new Refusal("wrong-range", { detail }, { "content-range": `bytes */${sizeBytes}` });
  }
  return span;
}
