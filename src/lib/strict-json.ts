import { printable } from "./printable.ts";

/** A text is not the JSON that is wanted. The message says why, printable. */
export class StrictJsonError extends Error {
  override readonly name = "StrictJsonError";
}

/** An object or list that is open at a place of the text: what was in it so far. */
type Open = { readonly keys?: Set<string>; expectsKey: boolean };

/**
 * The value of a JSON text (RFC 8259) from somebody who need not be trusted, in one pass over the text and one parse. The
 * caller bounds its size. Stricter than JSON.parse, so that no two readers can see two meanings: UTF-8 without a byte
 * order mark, no key twice in one object, and only whole numbers that a double holds exactly. Nested at most `depthMax`
 * deep, which is checked before anything is built. Throws `StrictJsonError`.
 */
export function parseStrictJson(bytes: Uint8Array, depthMax: number): unknown {
  const text = decode(bytes);
  scan(text, depthMax);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const says = printable((cause as Error).message, 200);
    throw new StrictJsonError(`is not JSON: ${says}`, { cause });
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new StrictJsonError("is not text in UTF-8", { cause });
  }
}

/** What JSON.parse does not mind. Of a text that is no JSON it may find something or nothing. */
function scan(text: string, depthMax: number): void {
  const open: Open[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const inside = open.at(-1);
    const character = text.charAt(at);
    if (character === '"') {
      const end = endOfString(text, at);
      if (inside?.keys !== undefined && inside.expectsKey) noteKey(inside.keys, text, at, end);
      if (inside !== undefined) inside.expectsKey = false;
      at = end;
    } else if (character === "{" || character === "[") {
      if (open.length >= depthMax)
        throw new StrictJsonError(`is nested deeper than ${depthMax} levels`);
      open.push(character === "{" ? { keys: new Set(), expectsKey: true } : { expectsKey: false });
    } else if (character === "}" || character === "]") {
      open.pop();
    } else if (character === ",") {
      if (inside !== undefined) inside.expectsKey = true;
    } else if (character === "-" || (character >= "0" && character <= "9")) {
      at = endOfNumber(text, at);
    }
  }
}

/** The place of the closing quotation mark, or the text's end. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '"') return at;
    if (character === "\\") at += 1;
  }
  return text.length;
}

function noteKey(keys: Set<string>, text: string, start: number, end: number): void {
  const raw = text.slice(start, end + 1);
  const key = raw.includes("\\") ? unescaped(raw) : raw.slice(1, -1);
  if (keys.has(key)) throw new StrictJsonError(`has the key '${printable(key, 60)}' twice`);
  keys.add(key);
}

function unescaped(raw: string): string {
  try {
    return JSON.parse(raw) as string;
  } catch {
    return raw; // The text's own parse says what is wrong with it.
  }
}

/** The place of a number's last character. */
function endOfNumber(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length && /[0-9.eE+-]/.test(text.charAt(end))) end += 1;
  const number = text.slice(start, end);
  if (!/^(0|-?[1-9][0-9]{0,15})$/.test(number) || !Number.isSafeInteger(Number(number)))
    throw new StrictJsonError(
      `has the number ${printable(number, 40)}; only whole numbers below 2^53 may be here`,
    );
  return end - 1;
}
