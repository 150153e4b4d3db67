import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { command } from '../../cli/commands/certificates-export.ts';
import { explain } from '../../cli/explain.ts';
import { Interrupted } from '../../cli/interruptible.ts';
import type { Session } from '../../cli/session.ts';
import { targetOf } from '../../cli/target.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const folder = temporaryFolder('cli-export');

const rowOf = (requestId: string) => ({ deviceId: { S: 'd' }, requestId: { S: requestId }, state: { S: 'issued' } });

interface Export {
  readonly isJson?: boolean;
  readonly format?: string;
  readonly out?: string;
  /** What becomes of the second page; the first has two rows. */
  readonly second: (interrupt: () => void) => Promise<unknown>;
}

async function run({ isJson = false, format = 'jsonl', out, second }: Export) {
  const interrupted = new AbortController();
  let page = 0;
  const send = () =>
    page++ === 0
      ? Promise.resolve({ Items: [rowOf('1'), rowOf('2')], LastEvaluatedKey: rowOf('2') })
      : second(() => interrupted.abort());
  const stdout = Object.assign(new PassThrough(), { isTTY: false });
  const written = buffer(stdout);
  const notes: string[] = [];
  const session = {
    target: () => targetOf({ stage: 'test' }, {}),
    clients: { dynamoDB: () => Promise.resolve({ send }) },
    isJson,
    stdout,
    note: (line: string) => notes.push(line),
    explain: (error: unknown) => explain(error, {}),
    interrupted: interrupted.signal,
  } as unknown as Session;
  const options = { format, ...(out === undefined ? {} : { out }) };
  const result = await command.run(session, options, []).catch((error: unknown) => error);
  stdout.end();
  return { result, stdout: (await written).toString(), notes: notes.join('\n') };
}

const throttled = () =>
  Promise.reject(Object.assign(new Error('slow down'), { name: 'ProvisionedThroughputExceededException' }));

const hanging = (interrupt: () => void) => {
  setImmediate(interrupt);
  return new Promise(() => {});
};

describe('an export that fails on its way', () => {
  it('with --json: stdout is JSON all the same, with the error in it', async () => {
    const { result, stdout, notes } = await run({ isJson: true, second: throttled });
    expect(JSON.parse(stdout)).toMatchObject({
      certificates: [{ requestId: '1' }, { requestId: '2' }],
      error: { message: expect.stringContaining('throttles'), cure: expect.any(String) },
    });
    expect(result).toEqual({ exitCode: 2, written: true });
    expect(notes).toMatch(/^mintmark: AWS throttles/);
  });

  it('without it: the rows that there were, and the error for whoever called', async () => {
    const { result, stdout } = await run({ second: throttled });
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
    expect(result).toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('into a file: none, not even half of one', async () => {
    const out = join(folder, 'failed.jsonl');
    const { result } = await run({ out, second: throttled });
    expect(result).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('an export that is interrupted while it waits', () => {
  it('with --json: stdout is JSON all the same', async () => {
    const { result, stdout } = await run({ isJson: true, second: hanging });
    expect(JSON.parse(stdout)).toMatchObject({ certificates: [{}, {}], error: { message: 'Interrupted.' } });
    expect(result).toEqual({ exitCode: 130, written: true });
  });

  it('into a file: none, not even half of one', async () => {
    const out = join(folder, 'interrupted.jsonl');
    expect((await run({ out, second: hanging })).result).toBeInstanceOf(Interrupted);
    expect(readdirSync(folder)).toEqual([]);
  });
});

it('an export that goes well is JSON with nothing else in it', async () => {
  const { result, stdout } = await run({ isJson: true, second: () => Promise.resolve({ Items: [rowOf('3')] }) });
  expect(JSON.parse(stdout)).toEqual({ certificates: [expect.anything(), expect.anything(), expect.anything()] });
  expect(result).toEqual({ exitCode: 0, written: true });
});
