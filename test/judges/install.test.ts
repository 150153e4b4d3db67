import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { missing } from '../../local/judges/prerequisites.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const installModule = JSON.stringify(new URL('../../local/judges/install.ts', import.meta.url).href);

/** On a Mac it is known without looking. */
const noPackageManager = process.platform === 'darwin' ? 'brew' : 'unknown';

/** A machine with nothing but what a test puts there, and the programs that those scripts call. */
describe('installing the judges', () => {
  let machine: string;
  beforeEach(() => {
    machine = temporaryFolder('machine');
  });

  function program(name: string, script: string): void {
    mkdirSync(join(machine, 'bin'), { recursive: true });
    writeFileSync(join(machine, 'bin', name), `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`, { mode: 0o755 });
  }

  /** What installJudges answers, or `error` with its message. */
  function install(): unknown {
    const script = `const { installJudges } = await import(${installModule});
      const answer = await installJudges().catch(({ name, message }) => ({ error: name + ': ' + message }));
      process.stdout.write(JSON.stringify(answer));`;
    const env = { HOME: machine, PATH: join(machine, 'bin') };
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      env,
      encoding: 'utf8',
    });
    return JSON.parse(stdout);
  }

  const cache = (...path: string[]): string => join(machine, '.cache', 'mintmark', ...path);
  const venvs = (): string[] =>
    existsSync(cache())
      ? readdirSync(cache())
          .filter((name) => name.startsWith('judges-'))
          .map((name) => cache(name, 'venv'))
      : [];

  const go = (install: string, version = 'h1:ZvdfwSgqPxeD2Sb0yhH/7jzrpFHBKAjPhzKr1vVev9c=') =>
    program(
      'go',
      `case "$1" in
        env) echo go1.99.1 ;;
        install) ${install} ;;
        version) printf '\\tmod\\tgithub.com/zmap/zlint/v3\\tv3.6.8\\t${version}\\n' ;;
      esac`,
    );
  const builds = `printf '#!/bin/sh\\n' > "$GOBIN/zlint"; chmod +x "$GOBIN/zlint"`;

  it('says what is missing, with the cure, and makes nothing', () => {
    expect(install()).toEqual({ go: missing('go', noPackageManager), python: missing('python', noPackageManager) });
    expect(existsSync(cache())).toBe(false);
  });

  it('passes over a Go that is too old and a Python that does not run', () => {
    program('go', 'echo go1.23.9');
    program('python3', 'exit 127');
    expect(install()).toMatchObject({ go: { missing: 'go' }, python: { missing: 'python' } });
  });

  it('keeps nothing of a build that failed', () => {
    go(`${builds}; echo cannot compile; exit 1`);
    expect(install()).toEqual({ error: expect.stringMatching(/^SetUpError: go install .* failed .*cannot compile/s) });
    expect(readdirSync(cache('zlint-v3.6.8'))).toEqual([]);
  });

  it('keeps nothing of a zlint that is not the published one', () => {
    go(builds, 'h1:AAAA=');
    expect(install()).toEqual({ error: expect.stringMatching(/is not what was published/) });
    expect(readdirSync(cache('zlint-v3.6.8'))).toEqual([]);
  });

  it('does without a judge that the network does not give, and says so', () => {
    go('echo "dial tcp: lookup proxy.golang.org: no such host"; exit 1');
    expect(install()).toMatchObject({
      go: { kind: 'unavailable', missing: 'network', sentence: expect.stringContaining('no such host') },
    });
  });

  it('installs once, and asks nobody the second time', () => {
    go(builds);
    const first = install();
    expect(first).toMatchObject({ go: { kind: 'installed', zlint: cache('zlint-v3.6.8', 'zlint') } });
    go('exit 1');
    expect(install()).toEqual(first);
  });

  /** Makes virtual environments whose pip is the script. */
  const python = (pip: string) =>
    program(
      'python3',
      `if [ "$2" = venv ]; then
        mkdir -p "$3/bin"
        printf '#!/bin/sh\\nif [ "$2" = pip ]; then ${pip}; fi\\n' > "$3/bin/python"
        chmod +x "$3/bin/python"
      fi`,
    );

  it('takes a virtual environment whose pip failed for nothing, and makes it again', () => {
    python('echo broken; exit 1');
    expect(install()).toEqual({ error: expect.stringMatching(/^SetUpError: pip install failed/) });
    expect(venvs().map((venv) => existsSync(join(venv, 'complete')))).toEqual([false]);

    python('exit 0');
    const [venv = ''] = venvs();
    const installed = { go: { missing: 'go' }, python: { kind: 'installed', python: join(venv, 'bin', 'python') } };
    expect(install()).toMatchObject(installed);
    python('exit 1');
    expect(install()).toMatchObject(installed);
  });
});
