import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { describe, expect, it, vi } from 'vitest';

import { project } from '../../local/setup/machine.mjs';
import { temporaryFolder } from '../support/temporary-folder.ts';

const setUp = (name: string) => pathToFileURL(join(project, 'local', 'setup', name)).href;

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // Linux keeps a killed process as a zombie until its adopter asks for its end, which a container's init may never do.
  const status = `/proc/${pid}/stat`;
  return !existsSync(status) || !/\) Z /.test(readFileSync(status, 'utf8'));
};

/** A chain as npm makes it: this test → `outer` → set-up's runToEnd → a program tied to it, which starts nothing more. */
function chain(): { folder: string; outer: string; read: (name: string) => string } {
  const folder = temporaryFolder('parent');
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  write(
    'program.ts',
    `import { writeFileSync } from 'node:fs';
     import { endWithParent } from '${setUp('parent-watch.ts')}';
     endWithParent(() => writeFileSync('${folder}/ended', 'by its parent'));
     process.on('SIGTERM', () => process.exit(7));
     writeFileSync('${folder}/program.pid', String(process.pid));
     setInterval(() => {}, 1000);`,
  );
  write(
    'runner.mjs',
    `import { writeFileSync } from 'node:fs';
     import { runToEnd } from '${setUp('children.mjs')}';
     writeFileSync('${folder}/runner.pid', String(process.pid));
     process.exitCode = await runToEnd(process.execPath, ['${folder}/program.ts']);`,
  );
  write(
    'outer.mjs',
    `import { spawn } from 'node:child_process';
     spawn(process.execPath, ['${folder}/runner.mjs'], { stdio: 'inherit' }).on('exit', (code) => process.exit(code));`,
  );
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  return { folder, outer: join(folder, 'outer.mjs'), read };
}

describe('a program that set-up runs', () => {
  const started = async (folder: string) => vi.waitUntil(() => existsSync(join(folder, 'program.pid')), 10_000);
  const gone = async (...pids: string[]) =>
    vi.waitUntil(() => pids.every((pid) => !isAlive(Number(pid))), { timeout: 10_000 });

  it('ends, with all between, when what started it is killed', async () => {
    const { folder, outer, read } = chain();
    const child = spawn(process.execPath, [outer], { stdio: 'ignore' });
    await started(folder);
    expect(isAlive(Number(read('program.pid')))).toBe(true);
    child.kill('SIGKILL');
    await gone(read('runner.pid'), read('program.pid'));
  });

  it('cleans up and ends when set-up itself is killed', async () => {
    const { folder, outer, read } = chain();
    spawn(process.execPath, [outer], { stdio: 'ignore' });
    await started(folder);
    process.kill(Number(read('runner.pid')), 'SIGKILL');
    await gone(read('program.pid'));
    expect(read('ended')).toBe('by its parent');
  });

  it('is given signals, and its exit code is passed on', async () => {
    const { folder, outer, read } = chain();
    const child = spawn(process.execPath, [outer], { stdio: 'ignore' });
    await started(folder);
    process.kill(Number(read('runner.pid')), 'SIGTERM');
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(7);
  });
});

describe('endWithParent', () => {
  it('does not keep a process alive that has nothing left to do', async () => {
    const script = `import { endWithParent } from '${setUp('parent-watch.ts')}'; endWithParent(() => {});`;
    for (const stdio of [['ignore', 'ignore', 'ignore', 'ipc'] as const, 'ignore' as const]) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: stdio === 'ignore' ? stdio : [...stdio],
      });
      const [code] = (await once(child, 'exit')) as [number];
      expect(code).toBe(0);
    }
  });

  it('does not wait for a clean-up that hangs', async () => {
    const script = `import { endWithParent } from '${setUp('parent-watch.ts')}';
      endWithParent(() => new Promise(() => {})); process.send('ready'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    await once(child, 'message');
    const ended = once(child, 'exit');
    child.disconnect();
    const [code] = (await ended) as [number];
    expect(code).toBe(1);
  });
});
