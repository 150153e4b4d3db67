import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { readPin, requireAgreed } from '../../cli/pin-input.ts';
import type { Session } from '../../cli/session.ts';

/** A terminal: what is typed into it for each question, and what it shows. */
function terminal(...answers: readonly string[]) {
  const input = Object.assign(new PassThrough(), { isTTY: true, isRaw: false });
  const modes: boolean[] = [];
  const setRawMode = (isRaw: boolean) => {
    input.isRaw = isRaw;
    modes.push(isRaw);
    return input;
  };
  let shown = '';
  const output = {
    write: (text: string) => {
      shown += text;
      const answer = text.endsWith(' ') ? answers[modes.length / 2] : undefined;
      if (answer !== undefined) setImmediate(() => input.write(answer));
      return true;
    },
  };
  const stopping = new AbortController();
  const session = {
    stdin: Object.assign(input, { setRawMode }),
    stderr: output,
    interrupted: stopping.signal,
  } as unknown as Session;
  return { session, stopping, shown: () => shown, modes };
}

const read = async (...answers: readonly string[]) => {
  const asked = terminal(...answers);
  const { userName, bytes } = await readPin(asked.session);
  return { userName, pin: Buffer.from(bytes).toString(), ...asked };
};

it('asks for name and password, and shows none of the password', async () => {
  const { userName, pin, shown, modes } = await read('user_1\n', 'correct-horse\r', 'correct-horse\r');
  expect({ userName, pin }).toEqual({ userName: 'user_1', pin: 'user_1:correct-horse' });
  expect(shown()).toBe('Crypto user: Its password (not shown): \nOnce more: \n');
  // The name is shown by the terminal itself; each question leaves it as it was.
  expect(modes).toEqual([false, false, true, false, true, false]);
});

it('takes back what was erased', async () => {
  const { pin } = await read('user_1\n', 'corrext\u007f\u007fct-horse\r', 'all of this\u0015correct-horse\r');
  expect(pin).toBe('user_1:correct-horse');
});

it('wants the same password twice, and repeats neither', async () => {
  const asked = terminal('user_1\n', 'correct-horse\r', 'correct-house\r');
  await expect(readPin(asked.session)).rejects.toThrow('Two passwords were typed.');
  expect(asked.shown()).not.toContain('correct');
});

it.each(['\u0003', '\u0004'])('ends at %j, with the terminal as it was', async (ending) => {
  const asked = terminal('user_1\n', `corr${ending}`);
  await expect(readPin(asked.session)).rejects.toThrow('Interrupted.');
  expect(asked.modes.at(-1)).toBe(false);
});

it('ends when the command is to end', async () => {
  const asked = terminal('user_1\n');
  const reading = readPin(asked.session);
  setImmediate(() => asked.stopping.abort());
  await expect(reading).rejects.toThrow('Interrupted.');
});

it.each([
  ['yes\n', true],
  ['YES\n', true],
  ['y\n', false],
  ['\n', false],
  ['no\n', false],
])('takes %j for agreement: %s', async (answer, isAgreed) => {
  const asked = requireAgreed(terminal(answer).session, false);
  if (isAgreed) await expect(asked).resolves.toBeUndefined();
  else await expect(asked).rejects.toThrow('Nothing was changed.');
});
