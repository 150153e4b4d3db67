import { pinUserName, problemOfPin } from '../shared/signer/index.ts';
import { UsageError } from './errors.ts';
import type { Session } from './session.ts';
import { askTerminal } from './terminal-input.ts';

/** A crypto user's PIN while a command has it. */
export interface GivenPin {
  readonly userName: string;
  /** `user:password`; whoever asked for it overwrites it. */
  readonly bytes: Uint8Array;
}

/** The longest PIN, and one more that shows that it is too long. */
const longest = 31 + 1 + 32 + 1;

/** @throws UsageError where nobody could be asked: stdin is where the PIN comes from */
export function requireAnswerable({ stdin }: Session, isAgreed: boolean): void {
  if (stdin.isTTY || isAgreed) return;
  throw new UsageError(
    'The PIN comes from stdin, so nobody can be asked whether this is what is meant.',
    'Look at it with --dry-run, then say --yes.',
  );
}

/**
 * From a terminal the user's name, and without echo the password, twice; from a pipe or file `user:password`, with one end of
 * line at the most. Never from an argument or a variable, which other processes and the shell's history have.
 * @throws UsageError that repeats nothing of it, Interrupted
 */
export async function readPin(session: Session): Promise<GivenPin> {
  const bytes = session.stdin.isTTY ? await askPin(session) : await readPipe(session.stdin);
  const problem = problemOfPin(bytes);
  if (problem === undefined) return { userName: pinUserName(bytes), bytes };
  bytes.fill(0);
  throw new UsageError(problem, 'Give user:password of the crypto user, as the PKCS#11 library takes it.');
}

async function askPin({ stdin, stderr, interrupted }: Session): Promise<Uint8Array> {
  const terminal = { input: stdin, output: stderr, signal: interrupted };
  const userName = await askTerminal(terminal, 'Crypto user: ', false);
  const password = await askTerminal(terminal, 'Its password (not shown): ', true);
  const again = await askTerminal(terminal, 'Once more: ', true);
  const isSame = Buffer.from(password).equals(again);
  const bytes = new Uint8Array([...userName, 0x3a, ...password]);
  password.fill(0);
  again.fill(0);
  if (isSame) return bytes;
  bytes.fill(0);
  throw new UsageError('Two passwords were typed.', 'Type the same one twice.');
}

async function readPipe(input: AsyncIterable<Buffer | string>): Promise<Uint8Array> {
  const read = new Uint8Array(longest + 2);
  let length = 0;
  for await (const chunk of input) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    const room = bytes.subarray(0, read.length - length);
    read.set(room, length);
    length += room.length;
    bytes.fill(0);
  }
  let end = length;
  if (read[end - 1] === 0x0a) end -= read[end - 2] === 0x0d ? 2 : 1;
  const pin = read.slice(0, Math.max(0, end));
  read.fill(0);
  return pin;
}

/** Asks on a terminal whether what was told is meant. @throws UsageError where it is not */
export async function requireAgreed({ stdin, stderr, interrupted }: Session, isAgreed: boolean): Promise<void> {
  if (isAgreed) return;
  const terminal = { input: stdin, output: stderr, signal: interrupted };
  const answer = Buffer.from(await askTerminal(terminal, 'Is this what you want? (yes/no) ', false)).toString('latin1');
  if (answer.trim().toLowerCase() === 'yes') return;
  throw new UsageError('Nothing was changed.', 'Type yes, in full, to have it done.');
}
