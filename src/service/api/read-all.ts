/**
 * All bytes of a source whose length is bounded elsewhere. Node's `stream/consumers` makes a Blob on the way, which takes as
 * long as writing the bytes to a file.
 */
export async function readAll(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  const [first] = pieces;
  return pieces.length === 1 && Buffer.isBuffer(first) ? first : Buffer.concat(pieces);
}
