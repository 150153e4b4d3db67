import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isNetworkFailure } from '../../local/localstack/install.ts';
import { javaHomeIn, missing } from '../../local/localstack/prerequisites.mjs';

const module = (name: string) => JSON.stringify(new URL(`../../local/localstack/${name}`, import.meta.url).href);

/** On a Mac it is known without looking. */
const noPackageManager = process.platform === 'darwin' ? 'brew' : 'unknown';

/** A machine with nothing but what a test puts there. */
describe('what LocalStack needs of a machine', () => {
  let machine: string;
  beforeEach(() => {
    machine = mkdtempSync(join(tmpdir(), 'mintmark-machine-'));
  });
  afterEach(() => rmSync(machine, { recursive: true }));

  function program(folder: string, name: string, script: string): string {
    mkdirSync(join(machine, folder), { recursive: true });
    const path = join(machine, folder, name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return path;
  }

  function evaluate(from: string, expression: string): unknown {
    const script = `const m = await import(${module(from)}); process.stdout.write(JSON.stringify({ value: await (${expression}) }));`;
    const PATH = ['first', 'second'].map((folder) => join(machine, folder)).join(':');
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      env: { HOME: machine, PATH },
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    return (JSON.parse(stdout) as { value: unknown }).value;
  }

  const java = (home: string) =>
    `echo '    java.home = ${home}' >&2; echo '    java.specification.version = 17' >&2; exit 0`;

  it.each([
    [['python', 'java', 'maven'], []],
    [['java', 'maven'], ['python3.13']],
    [['python', 'maven'], ['java']],
    [['java'], ['python3.13', 'mvn']],
    [['maven'], ['python3.13', 'java']],
  ] as const)('names %s, with the cures, and makes nothing', (needs, present) => {
    for (const name of present) program('first', name, name === 'java' ? java('/java') : 'exit 0');
    expect(evaluate('install.ts', 'm.installLocalStack()')).toEqual(missing(needs, noPackageManager));
    expect(existsSync(join(machine, '.cache'))).toBe(false);
  });

  it('runs candidates: a stand-in with nothing behind it is passed over', () => {
    program('first', 'python3.13', 'exit 127');
    const good = program('second', 'python3.13', 'exit 0');
    expect(evaluate('prerequisites.mjs', 'm.findPython()')).toBe(good);
    const newest = program('.pyenv/versions/3.13.11/bin', 'python3.13', 'exit 0');
    program('.pyenv/versions/3.13.2/bin', 'python3.13', 'exit 0');
    program('.pyenv/versions/3.14.0/bin', 'python3.13', 'exit 0');
    expect(evaluate('prerequisites.mjs', 'm.findPython()')).toBe(newest);
  });

  it('passes over a Java that does not run or is too old', () => {
    program('first', 'java', `echo '    java.home = /old' >&2; echo '    java.specification.version = 11' >&2`);
    program('second', 'java', java('/new'));
    expect(evaluate('prerequisites.mjs', 'm.findJavaHome()')).toBe('/new');
  });
});

describe('the sentences', () => {
  it('name what is missing and the cure', () => {
    expect(missing(['maven'], 'apt', false).sentence).toBe(
      'LocalStack needs Maven (once, to download DynamoDB Local), which this machine lacks: run `sudo apt-get install -y maven`; then run the same again.',
    );
    expect(missing(['python'], 'brew').sentence).toContain('run `brew install python@3.13`');
    expect(missing(['java'], 'unknown').sentence).toContain('install a Java and set JAVA_HOME');
  });

  it('name everything at once, without sudo for root', () => {
    expect(missing(['java', 'maven'], 'apt', true).sentence).toBe(
      'LocalStack needs Java 17 or later and Maven (once, to download DynamoDB Local), which this machine lacks: run `apt-get install -y default-jre-headless`; run `apt-get install -y maven`; then run the same again.',
    );
  });
});

describe('what pip installs', () => {
  const pinned = (name: string) =>
    readFileSync(new URL(`../../local/localstack/${name}`, import.meta.url), 'utf8').matchAll(
      /^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)/gm,
    );
  const versions = (name: string) => [...pinned(name)].map(([, what, version]) => `${what} ${version}`).sort();

  it('is what was asked for, with hashes', () => {
    expect(versions('requirements.txt')).toEqual(versions('requirements.in'));
    expect(versions('requirements.in').length).toBeGreaterThan(100);
  });
});

describe("Java's account of itself", () => {
  it.each([
    ['1.8', undefined],
    ['11', undefined],
    ['17', '/usr/lib/jvm/java 17'],
    ['21', '/usr/lib/jvm/java 17'],
  ])('of version %s', (version, home) => {
    const settings = `Property settings:\n    java.home = /usr/lib/jvm/java 17\n    java.specification.version = ${version}\n`;
    expect(javaHomeIn(settings)).toBe(home);
  });
});

describe('a failed download', () => {
  it.each([
    'Failed to establish a new connection: [Errno -3] Temporary failure in name resolution',
    "ProxyError('Cannot connect to proxy.', NewConnectionError('[Errno 111] Connection refused'))",
    `WARNING: Retrying after connection broken by 'NewConnectionError'
ERROR: Could not find a version that satisfies the requirement localstack-core==4.14.0 (from versions: none)`,
    'Could not transfer artifact com.amazonaws:DynamoDBLocal:pom:2.6.1: Unknown host',
  ])('is the network: %s', (text) => {
    expect(isNetworkFailure(text)).toBe(true);
  });

  it.each([
    'ERROR: Cannot install moto-ext because these package versions have conflicting dependencies.',
    'No space left on device',
    'ERROR: Could not find a version that satisfies the requirement localstack-core==4.14.0 (from versions: none)',
    'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.',
  ])('is not the network: %s', (text) => {
    expect(isNetworkFailure(text)).toBe(false);
  });
});
