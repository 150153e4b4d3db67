import { TextDecoder } from 'node:util';

/** A line of a file without its end, or what is wrong with it, a sentence. */
export type Line =
  | { readonly number: number; readonly text: string }
  | { readonly number: number; readonly problem: string };

/** Bytes: no row that can be right comes near it, and no file needs more memory than that. */
const longestLine = 1_048_576;

const lineFeed = 0x0a;

/** The lines of a UTF-8 text, which end with LF or CRLF, from 1 on. Each is decoded by itself: one that is broken hides no other. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let parts: Uint8Array[] = [];
  let length = 0;
  let number = 1;
  const take = (part: Uint8Array): void => {
    length += part.length;
    if (length <= longestLine) parts.push(part);
    else parts = [];
  };
  const end = (): Line => {
    const line = length > longestLine ? tooLong(number) : decoded(decoder, Buffer.concat(parts), number);
    [parts, length, number] = [[], 0, number + 1];
    return line;
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let at = chunk.indexOf(lineFeed); at >= 0; at = chunk.indexOf(lineFeed, start)) {
      take(chunk.subarray(start, at));
      start = at + 1;
      yield end();
    }
    take(chunk.subarray(start));
  }
  if (length > 0) yield end();
}

const tooLong = (number: number): Line => ({ number, problem: 'The line is longer than 1 MiB.' });

function decoded(decoder: TextDecoder, bytes: Uint8Array, number: number): Line {
  try {
    const text = decoder.decode(bytes).replace(/\r$/, '');
    return { number, text: number === 1 ? text.replace(/^\ufeff/, '') : text };
  } catch {
    // A TypeError without particulars: the bytes are no UTF-8.
    return { number, problem: 'The line is not UTF-8; save the file in that encoding.' };
  }
}
