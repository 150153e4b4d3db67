import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { command } from '../../cli/commands/certificates-export.ts';
import { explain } from '../../cli/explain.ts';
import { Interrupted } from '../../cli/interruptible.ts';
import type { Session } from '../../cli/session.ts';
import { targetOf } from '../../cli/target.ts';
import { certificatePem } from '../../shared/issuance/certificate.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const folder = temporaryFolder('cli-export');

const rowOf = (requestId: string) => ({ deviceId: { S: 'd' }, requestId: { S: requestId }, state: { S: 'issued' } });
const { issuer } = makeIssuingCa({ notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') });
const pem = certificatePem(issuer.certificate);
const issued = (requestId: string) => ({ ...rowOf(requestId), certificate: { B: issuer.certificate } });

interface Export {
  readonly isJson?: boolean;
  readonly format?: string;
  readonly out?: string;
  readonly limit?: number;
  /** Of the first page. */
  readonly rows?: readonly object[];
  /** What becomes of the second page. */
  readonly second: (interrupt: () => void) => Promise<unknown>;
}

async function run({ isJson = false, format = 'jsonl', out, limit, rows = [rowOf('1'), rowOf('2')], second }: Export) {
  const interrupted = new AbortController();
  let page = 0;
  const send = () =>
    page++ === 0 ? Promise.resolve({ Items: rows, LastEvaluatedKey: rowOf('2') }) : second(() => interrupted.abort());
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
  const options = { format, ...(out === undefined ? {} : { out }), ...(limit === undefined ? {} : { limit }) };
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
  const three = [expect.anything(), expect.anything(), expect.anything()];
  expect(JSON.parse(stdout)).toEqual({ certificates: three, cursor: null });
  expect(result).toEqual({ exitCode: 0, written: true });
});

describe('an export with --limit', () => {
  const rows = [rowOf('rejected'), issued('1'), rowOf('open'), issued('2')];
  const second = () => Promise.resolve({ Items: [rowOf('late'), issued('3')] });
  const countOf = (text: string) => text.split('BEGIN CERTIFICATE').length - 1;

  it('counts what is written, and says that there is more', async () => {
    const { result, stdout, notes } = await run({ format: 'pem', limit: 2, rows, second });
    expect(countOf(stdout)).toBe(2);
    expect(result).toEqual({ exitCode: 0, written: true });
    expect(notes).toMatch(/^2 written, and there are more: the same with --cursor \S+$/);
  });

  it('of all that there are says nothing more', async () => {
    const { stdout, notes } = await run({ format: 'pem', limit: 3, rows, second });
    expect(countOf(stdout)).toBe(3);
    expect(notes).toBe('3 written');
  });

  it('with --json has the cursor in it', async () => {
    const { stdout } = await run({ isJson: true, limit: 5, rows, second });
    expect(JSON.parse(stdout)).toMatchObject({ certificates: { length: 5 }, cursor: expect.any(String) });
  });

  it('takes the first for DER, and without it refuses two', async () => {
    const out = join(folder, 'one.der');
    const { notes } = await run({ format: 'der', out, limit: 1, rows, second });
    expect(readFileSync(out)).toEqual(Buffer.from(issuer.certificate));
    expect(notes).toContain('there are more');
    expect((await run({ format: 'der', out, rows, second })).result).toMatchObject({
      message: expect.stringContaining('More than one'),
    });
    rmSync(out);
  });
});

describe('the file of an export', () => {
  const key = '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n';
  const none = () => Promise.resolve({ Items: [] });
  const formats = ['pem', 'der', 'jsonl', 'csv', 'json'];
  const write = (format: string, out: string) =>
    run({ format, isJson: format === 'json', out, rows: [issued('1')], second: none });

  it.each(formats)('%s: takes the place of its like, and of an empty one', async (format) => {
    const out = join(folder, `again.${format}`);
    writeFileSync(out, '');
    expect((await write(format, out)).result).toMatchObject({ exitCode: 0 });
    expect((await write(format, out)).result).toMatchObject({ exitCode: 0 });
    rmSync(out);
  });

  it.each(formats)('%s: never that of a key, or of anything else', async (format) => {
    const out = join(folder, `kept.${format}`);
    const contents = [key, pem + key, key + pem, '{"deviceId": "door-7"}\n', 'deviceId,fleet\r\n', 'notes', 'QUJD'];
    for (const content of contents) {
      writeFileSync(out, content);
      expect((await write(format, out)).result).toMatchObject({
        message: expect.stringMatching(/^.*kept\.[a-z]+: It is there already, and holds something else than /),
        cure: 'Name another file with --out.',
      });
      expect(readFileSync(out, 'utf8')).toBe(content);
    }
    rmSync(out);
  });

  it('is no device', async () => {
    const { result } = await write('pem', '/dev/null');
    expect(result).toMatchObject({ message: '/dev/null: It is there already, and is no plain file.' });
  });
});
