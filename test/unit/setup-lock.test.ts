import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { underLock } from '../../local/setup/lock.mjs';
import { temporaryFolder } from '../support/temporary-folder.ts';

const lock = new URL('../../local/setup/lock.mjs', import.meta.url).href;

/** A process that takes the lock, makes `file`, and keeps the lock until it is killed. */
function holder(checkout: string, file: string) {
  const script = `
    import { writeFileSync } from 'node:fs';
    import { underLock } from ${JSON.stringify(lock)};
    await underLock(${JSON.stringify(checkout)}, () => {
      writeFileSync(${JSON.stringify(file)}, '');
      return new Promise(() => setInterval(() => {}, 1000));
    }, () => {});`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
}

describe('the lock of a set-up', () => {
  it('is held by one at a time, and by nobody afterwards', async () => {
    const checkout = temporaryFolder('lock');
    let running = 0;
    let most = 0;
    let waited = 0;
    const work = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    };
    await Promise.all(Array.from({ length: 4 }, () => underLock(checkout, work, () => (waited += 1))));
    expect({ most, running, waited }).toEqual({ most: 1, running: 0, waited: 3 });
    await expect(
      underLock(
        checkout,
        () => Promise.reject(new Error('no')),
        () => {},
      ),
    ).rejects.toThrow('no');
    await underLock(checkout, work, () => expect.unreachable('a failure keeps the lock'));
  });

  it('is taken over from a process that was killed', async () => {
    const checkout = temporaryFolder('lock');
    const file = join(checkout, 'held');
    const child = holder(checkout, file);
    await expect.poll(() => existsSync(file), { timeout: 10_000 }).toBe(true);
    const holders: number[] = [];
    const taken = underLock(
      checkout,
      () => Promise.resolve('taken'),
      (pid: number) => holders.push(pid),
    );
    await expect.poll(() => holders, { timeout: 10_000 }).toEqual([child.pid]);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await taken).toBe('taken');
  });

  it('of one checkout does not keep another waiting', async () => {
    const [one, other] = [temporaryFolder('lock'), temporaryFolder('lock')];
    await underLock(
      one,
      () =>
        underLock(
          other,
          () => Promise.resolve(writeFileSync(join(other, 'done'), '')),
          () => expect.unreachable(),
        ),
      () => expect.unreachable(),
    );
    expect(existsSync(join(other, 'done'))).toBe(true);
  });
});
