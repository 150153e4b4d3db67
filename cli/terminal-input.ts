import { Interrupted } from './interruptible.ts';

/** A terminal that is asked: what is typed, and where the question is shown. */
export interface AskedTerminal {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
  readonly signal: AbortSignal;
}

const enter = new Set([0x0a, 0x0d]);
/** Ctrl-C, Ctrl-D: the terminal makes no signal and no end of them while it hides what is typed. */
const endings = new Set([0x03, 0x04]);
const erasing = new Set([0x08, 0x7f]);
const eraseLine = 0x15;

/** Longer than anything that is asked for. */
const longest = 256;

/**
 * One line of a terminal.
 * @param isHidden nothing of it is shown, not even its length
 * @returns its bytes without the line's end, for the caller to overwrite
 * @throws Interrupted
 */
export async function askTerminal(
  { input, output, signal }: AskedTerminal,
  question: string,
  isHidden: boolean,
): Promise<Uint8Array> {
  output.write(question);
  const typed = new Uint8Array(longest);
  let length = 0;
  const wasRaw = input.isRaw;
  input.setRawMode(isHidden);
  input.resume();
  try {
    for (;;) {
      const chunk = await nextChunk(input, signal);
      for (const [index, byte] of chunk.entries()) {
        if (endings.has(byte)) throw new Interrupted();
        if (enter.has(byte)) {
          // What was pasted after it belongs to the next question.
          const rest = chunk.subarray(index + 1);
          if (rest.length > 0) input.unshift(Uint8Array.from(rest));
          chunk.fill(0);
          return typed.slice(0, length);
        }
        if (erasing.has(byte)) length = Math.max(0, length - 1);
        else if (byte === eraseLine) length = 0;
        else if (length < longest) typed[length++] = byte;
      }
      chunk.fill(0);
    }
  } finally {
    typed.fill(0);
    input.setRawMode(wasRaw);
    input.pause();
    if (isHidden) output.write('\n');
  }
}

/** @throws Interrupted also where the terminal is gone */
function nextChunk(input: NodeJS.ReadStream, signal: AbortSignal): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const stop = () => reject(new Interrupted());
  input.once('data', resolve).once('end', stop);
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  return promise.finally(() => {
    input.off('data', resolve).off('end', stop);
    signal.removeEventListener('abort', stop);
  });
}
