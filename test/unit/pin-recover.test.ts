import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { expect, it } from 'vitest';
import { makeBreakGlass } from '../../cli/break-glass.ts';
import { writeBreakGlass } from '../../cli/break-glass-files.ts';
import { command } from '../../cli/commands/pin-recover.ts';
import type { Session } from '../../cli/session.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const pin = 'crypto_user:never-to-be-shown';
const facts = {
  stage: 'prod',
  issuer: 'devices',
  clusterId: 'cluster-abcdefghijk',
  userName: 'crypto_user',
  madeAt: 0,
  shares: 2,
  threshold: 2,
};
const texts = await makeBreakGlass(Buffer.from(pin), facts, randomBytes);
const written = writeBreakGlass(temporaryFolder('pin-recover'), facts, texts);
const files = [written.copy, ...written.shares];

/** @returns what reached stdout */
async function recover(options: readonly string[], { isTTY = false, isJson = false } = {}): Promise<string> {
  let shown = '';
  const stdout = {
    isTTY,
    write: (chunk: Uint8Array, done: () => void) => {
      shown += Buffer.from(chunk).toString();
      done();
    },
  };
  const session = { stdout, isJson, note: () => undefined } as unknown as Session;
  const parsed = command.declare(new Command().exitOverride()).parse([...files, ...options], { from: 'user' });
  const result = await command.run(session, parsed.opts(), files);
  expect(result.exitCode).toBe(0);
  return 'written' in result ? shown : `${shown}${result.lines.join('\n')}`;
}

it('shows no PIN where it is not asked to', async () => {
  const said = await recover([]);
  expect(said).toContain('These shares open the copy. The PIN was not shown.');
  expect(said).not.toContain('never-to-be-shown');
});

it('writes it into a pipe, and nothing else', async () => {
  expect(await recover(['--stdout'])).toBe(pin);
});

it('writes it to a terminal only when asked twice', async () => {
  await expect(recover(['--stdout'], { isTTY: true })).rejects.toThrow('The PIN would be on this terminal.');
  expect(await recover(['--show'], { isTTY: true })).not.toContain('never-to-be-shown');
  expect(await recover(['--stdout', '--show'], { isTTY: true })).toBe(pin);
});

it('makes no JSON of it', async () => {
  await expect(recover(['--stdout'], { isJson: true })).rejects.toThrow('nothing on stdout but the PIN');
});
