import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../cli/errors.ts';
import { Interrupted } from '../../cli/interruptible.ts';
import { type DrillResult, untilInterrupted } from '../drills/drill.ts';
import { readTyped } from '../drills/program.ts';
import { DrillProgress } from '../drills/progress.ts';
import { resultJson, resultLines } from '../drills/result.ts';

const read = (line: string, written: string[] = []) =>
  readTyped(line.split(' ').filter(Boolean), { writeOut: (text) => written.push(text), columns: 200 });

describe('what is typed', () => {
  it.each([
    ['crash', { name: 'crash', seed: undefined, cloud: 'embedded' }],
    ['--json crash --seed 7 --requests 20', { name: 'crash', seed: 7, cloud: 'embedded' }],
    ['outage --cloud localstack --cold --compression 60', { name: 'outage', cloud: 'localstack' }],
    ['storm --copies 2 --requests 10', { name: 'storm' }],
    ['soak --minutes 1 --rate 5 --json', { name: 'soak' }],
  ])('%s', (line, typed) => {
    expect(read(line)).toMatchObject(typed);
  });

  it.each([
    ['', 'It is not said which drill.', 'The drills are: crash, outage, storm, soak.'],
    ['nope', "There is no drill 'nope'.", 'The drills are: crash, outage, storm, soak.'],
    ['crash extra', "Too many arguments for 'crash'", 'See npm run drill -- crash --help.'],
    ['crash --copies 3', "Unknown option '--copies'.", 'See npm run drill -- crash --help.'],
    ['soak --cold', "Unknown option '--cold'.", 'See npm run drill -- soak --help.'],
    ['crash --requests -5', "argument '-5' is invalid. It is a whole number from 1", 'See npm run drill -- crash'],
    ['crash --requests 1e3', "argument '1e3' is invalid.", 'See'],
    ['crash --requests', "Option '--requests <count>' argument missing.", 'See'],
    ['outage --compression 61', 'It is a whole number from 1 to 60.', 'See npm run drill -- outage --help.'],
    ['outage --requests 1', 'It is a whole number from 10', 'See'],
    ['storm --copies 1', 'It is a whole number from 2', 'See'],
    ['storm --cloud localstack', 'Allowed choices are embedded.', 'See'],
    ['crash --seed 0', 'It is a whole number from 1 to 999999999.', 'See'],
  ])('"%s" is refused', (line, sentence, cure) => {
    const refused = expect.objectContaining({
      message: expect.stringContaining(sentence) as string,
      cure: expect.stringContaining(cure) as string,
    }) as UsageError;
    expect(() => read(line)).toThrow(refused);
    expect(() => read(line)).toThrow(UsageError);
  });

  it.each([
    ['--help', ['crash', 'outage', 'storm', 'soak', '--seed', '--json']],
    ['crash --help', ['--requests', 'default: 500, on LocalStack 100', 'It takes three minutes', '--cloud', '--seed']],
    ['outage --help', ['--compression', 'from 1 to 60 (default: 30)', '--cold', 'It takes 1800 seconds divided by']],
    ['storm --help', ['--copies', '(default: 20)', 'It takes a minute']],
    ['soak --help', ['--minutes', '(default: 5)', '--rate', 'It takes --minutes, and then']],
  ])('%s says what there is, and is no error', (line, parts) => {
    const written: string[] = [];
    expect(read(line, written)).toBeUndefined();
    const help = written.join('').replaceAll(/\s+/g, ' ');
    for (const part of parts) expect(help).toContain(part);
  });
});

describe('how far it is', () => {
  const stream = (isTTY: boolean, columns = 20) => {
    const written: string[] = [];
    return { isTTY, columns, written, write: (text: string | Uint8Array) => written.push(String(text)) > 0 };
  };

  it('is a line at first, and one each quarter of a minute, where lines stay', () => {
    const file = stream(false);
    let now = 0;
    const progress = new DrillProgress(file, () => now);
    for (; now <= 31_000; now += 500) progress.show(`${now}`);
    progress.end();
    expect(file.written).toEqual(['0\n', '15000\n', '30000\n']);
  });

  it('is one line of a terminal, no longer than that, and gone in the end', () => {
    const terminal = stream(true);
    const progress = new DrillProgress(terminal, () => 0);
    progress.show('short');
    progress.show('longer than the terminal is');
    progress.end();
    expect(terminal.written).toEqual(['\r\x1b[Kshort', '\r\x1b[Klonger than the ter', '\r\x1b[K']);
  });
});

describe('what comes of it', () => {
  const ran = { name: 'crash', seed: 7, cloud: 'embedded' };
  const result = (problems: readonly string[]): DrillResult => ({
    figures: { requests: 3, issued: 3 },
    remarks: ['a remark'],
    problems,
  });

  it('is said in a sentence when all is well', () => {
    expect(resultJson(result([]))).toEqual({ requests: 3, issued: 3, failed: [] });
    expect(resultLines(result([]), ran)).toEqual({
      found: ['a remark', 'requests: 3', 'issued: 3'],
      verdict: [
        'The drill has passed: 3 of 3 requests have their certificate, and every row, signature and certificate is accounted for.',
      ],
    });
  });

  it('is all that must not be, with how to have it again', () => {
    const problems = Array.from({ length: 22 }, (_, index) => `Problem ${index}.`);
    expect(resultJson(result(problems))).toMatchObject({ failed: problems });
    const { verdict } = resultLines(result(problems), ran);
    expect(verdict.slice(19, 21)).toEqual(['Problem 19.', '... and 2 more']);
    expect(verdict.at(-1)).toMatch(/^The drill has failed\. --seed 7 .*drill-crash\.log\.$/);
    expect(resultLines(result(problems), { ...ran, cloud: 'localstack' }).verdict.at(-1)).not.toContain('.log');
  });

  it('is an interruption, whatever it was waiting for', async () => {
    const interrupting = new AbortController();
    const work = untilInterrupted(interrupting.signal, delay(60_000, 'done', { ref: false }));
    interrupting.abort();
    await expect(work).rejects.toThrow(Interrupted);
    await expect(untilInterrupted(interrupting.signal, Promise.resolve())).rejects.toThrow(Interrupted);
    await expect(untilInterrupted(new AbortController().signal, Promise.resolve('done'))).resolves.toBe('done');
  });
});
