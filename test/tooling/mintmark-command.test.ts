import { spawnSync } from 'node:child_process';
import { closeSync, cpSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { project } from '../../local/setup/machine.mjs';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** The command as it is typed: through npm, in a checkout that may not be set up, on a Node that may be too old. */

const home = temporaryFolder('cli-checkout');

/** No registry, an empty cache, and nothing of this machine's AWS settings. */
const environment = {
  PATH: process.env['PATH'],
  HOME: home,
  npm_config_cache: join(home, 'npm'),
  npm_config_registry: 'http://127.0.0.1:9',
  AWS_EC2_METADATA_DISABLED: 'true',
  MINTMARK_STAGE: 'test',
};

interface How {
  readonly cwd: string;
  readonly stdout?: number | 'pipe';
}

function run(program: string, args: readonly string[], { cwd, stdout = 'pipe' }: How) {
  const stdio = ['ignore' as const, stdout, 'pipe' as const];
  const ended = spawnSync(program, args, { cwd, env: environment, encoding: 'utf8', stdio });
  return { code: ended.status, stdout: ended.stdout, stderr: ended.stderr };
}

/** What npm itself has to say about its settings is not the command's. */
const withoutNpm = (stderr: string): string => stderr.replaceAll(/^npm (?:warn|notice).*\n/gm, '');

const errorIn = (stdout: string) => (JSON.parse(stdout) as { readonly error: { readonly message: string } }).error;

// npm takes seconds to find its own feet on a machine that is busy.
describe('npx mintmark', { timeout: 120_000 }, () => {
  it('runs the command of the checkout, from any folder of it and in that folder; no registry is asked', () => {
    const { version } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as { version: string };
    const asked = run('npx', ['--offline', 'mintmark', '--version'], { cwd: join(project, 'test', 'unit') });
    expect(asked).toMatchObject({ code: 0, stdout: `${version}\n` });
    const refused = run('npx', ['--offline', 'mintmark', 'request', 'cli.md'], { cwd: join(project, 'docs') });
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(withoutNpm(refused.stderr)).toMatch(/^mintmark: Nothing was sent\. cli\.md: The CSR /);
  });

  it('in a checkout that is not set up says so, and installs nothing', () => {
    const checkout = join(home, 'checkout');
    mkdirSync(join(checkout, 'local'), { recursive: true });
    cpSync(join(project, 'package.json'), join(checkout, 'package.json'));
    cpSync(join(project, 'local', 'setup'), join(checkout, 'local', 'setup'), { recursive: true });
    const asked = run('npx', ['--offline', 'mintmark', 'health'], { cwd: checkout });
    expect(asked).toMatchObject({ code: 2, stdout: '' });
    expect(withoutNpm(asked.stderr)).toMatch(/^This checkout is not set up yet\. Run npm ci in [^\n]*\n$/);
    const asJson = run('npx', ['--offline', 'mintmark', 'health', '--json'], { cwd: checkout });
    expect(asJson.code).toBe(2);
    expect(errorIn(asJson.stdout)).toEqual({
      message: 'This checkout is not set up yet.',
      cure: expect.stringContaining('npm ci'),
    });
    expect(readdirSync(checkout).toSorted()).toEqual(['local', 'package.json']);
  });
});

describe('a Node, or a machine, that it does not run on', () => {
  const mintmark = join(project, 'local', 'setup', 'mintmark.mjs');
  const pretending = (name: string, value: unknown): string =>
    `data:text/javascript,Object.defineProperty(process,'${name}',{value:${encodeURIComponent(JSON.stringify(value))}})`;

  it.each([
    ['versions', { node: '18.20.0' }, /Node 20 or later/],
    ['platform', 'win32', /Linux and macOS/],
  ])('%s: exit 2, and with --json stdout says it', (name, value, told) => {
    const args = ['--import', pretending(name, value), mintmark, 'health'];
    const plain = run(process.execPath, args, { cwd: home });
    expect(plain).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(told) });
    const asJson = run(process.execPath, [...args, '--json'], { cwd: home });
    expect(asJson.code).toBe(2);
    expect(errorIn(asJson.stdout).message).toMatch(told);
  });
});

it.skipIf(!existsSync('/dev/full'))('stdout that takes nothing more: a sentence and exit 2', () => {
  const full = openSync('/dev/full', 'w');
  const ended = run(process.execPath, [join(project, 'cli', 'main.ts'), '--help'], { cwd: home, stdout: full });
  closeSync(full);
  expect(ended.code).toBe(2);
  expect(ended.stderr).toMatch(/^mintmark: The answer cannot be written to stdout \(ENOSPC\)\.[^\n]*\n$/);
});
