import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { describeDeath, diedOf, type End, LocalStackDied } from '../../local/localstack/died.ts';

const circumstances = {
  port: 4566,
  logFile: '/nowhere/localstack.log',
  logKeptIn: tmpdir(),
  reinstall: 'remove /cache/localstack',
};
const log = { path: '/cache/log/localstack.log', text: 'one\n\ntwo\n' };

describe('what is said of a LocalStack that has ended', () => {
  it.each<[End, string]>([
    [
      { kind: 'exit', code: 1 },
      'LocalStack ended by itself (exit code 1). Run the same again; if it ends like this each time, remove /cache/localstack.',
    ],
    [
      { kind: 'exit', code: 98 },
      'LocalStack ended by itself (exit code 98). Another program took port 4566 on 127.0.0.1 before LocalStack had it: run the same again.',
    ],
    [
      { kind: 'signal', signal: 'SIGKILL' },
      'LocalStack ended by itself (SIGKILL). Something else killed it, as the system does when memory runs out: end what else needs much of it, then run the same again.',
    ],
    [
      { kind: 'not started', why: 'spawn python EACCES' },
      'LocalStack could not be started (spawn python EACCES). Run the same again; if it ends like this each time, remove /cache/localstack.',
    ],
    [
      { kind: 'silent', seconds: 120 },
      'LocalStack did not answer within 120 s. The machine may be too busy for it: end what else runs there, then run the same again.',
    ],
  ])('%o', (end, sentence) => {
    const ending = ' Its log is in /cache/log/localstack.log, ending:\n  one\n  two';
    expect(describeDeath(end, circumstances, log)).toBe(sentence + ending);
  });

  it('shows the last lines of the log that say something', () => {
    const request =
      '2026-01-01T00:00:00.000  INFO --- [et.reactor-0] localstack.request.aws : AWS sqs.SendMessage => 200';
    const refused = request.replace('=> 200', '=> 400 (InvalidAttribute)');
    const told = Array.from({ length: 20 }, (_, index) => `line ${index}`);
    const text = [...told, refused, ...Array.from({ length: 50 }, () => request)].join('\n');
    const shown = describeDeath({ kind: 'exit', code: 1 }, circumstances, { path: 'log', text }).split('\n').slice(1);
    expect(shown).toEqual([...told.slice(-14), refused].map((line) => `  ${line}`));
  });

  it('says so when the log is empty, or gone', () => {
    const end = { kind: 'exit', code: 1 } as const;
    expect(describeDeath(end, circumstances, { path: 'log', text: '\n' })).toMatch(/ Its log, log, is empty\.$/);
    const died = diedOf(end, circumstances);
    expect(died).toBeInstanceOf(LocalStackDied);
    expect(died.message).toMatch(/ Its log could not be kept: ENOENT/);
  });
});
