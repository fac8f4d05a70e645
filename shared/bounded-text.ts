/**
 * What a stream brings, as UTF-8 text; undefined if it is more than `mostBytes`, of which no more is read then.
 * Rejects as the stream does.
 */
export async function readBoundedText(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  mostBytes: number,
): Promise<string | undefined> {
  const read: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length > mostBytes) return undefined;
    read.push(chunk);
  }
  return Buffer.concat(read).toString('utf8');
}
