import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { build } from '../../local/build.ts';
import { chooseCloud } from '../../local/choose-cloud.ts';
import { dockerArguments, startLocalStackInDocker } from '../../local/localstack/docker.ts';
import type { StartOptions } from '../../local/setup/options.mjs';

// Bundles are the checkout's, which others use.
vi.mock('../../local/build.ts', () => ({ build: vi.fn<typeof build>() }));

describe('docker run for LocalStack', () => {
  const args = dockerArguments(4567, 'its-own', {
    region: 'eu-central-1',
    functionEnvironment: { AWS_ENDPOINT_URL_KMS: 'http://127.0.0.1:8080' },
    folder: '/state',
    libraries: ['/usr/lib/softhsm'],
  });

  it('pins the image, whose LocalStack itself listens on loopback only', () => {
    expect(args.slice(args.findIndex((each) => !each.startsWith('-') && each !== 'run'))).toEqual([
      'localstack/localstack:4.14.0',
      '-m',
      'mintmark_localstack',
    ]);
    expect(args).toContain('--env=GATEWAY_LISTEN=127.0.0.1:4567');
    expect(args).toContain('--network=host');
  });

  it('names the container, which says its name on the port', () => {
    expect(args).toContain('--name=mintmark-its-own');
    expect(args).toContain('--env=MINTMARK_IDENTITY=its-own');
  });

  it('hands in what the functions need, and lets them write nowhere but into the state folder', () => {
    expect(args).toContain('--volume=/usr/lib/softhsm:/usr/lib/softhsm:ro');
    const writable = args.filter((each) => each.startsWith('--volume=') && !each.endsWith(':ro'));
    expect(writable).toEqual(['--volume=/state:/state']);
    const variable = args.find((each) => each.startsWith('--env=MINTMARK_FUNCTION_ENVIRONMENT=')) ?? '';
    expect(JSON.parse(variable.slice(variable.indexOf('{')))).toMatchObject({
      AWS_ENDPOINT_URL_KMS: 'http://127.0.0.1:8080',
    });
  });
});

const isLinux = process.platform === 'linux';
const orNotHere = isLinux ? '' : ' (skipped: LocalStack in Docker is for Linux)';
describe.skipIf(!isLinux)(`LocalStack in Docker, with a docker that is a script${orNotHere}`, () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mintmark-docker-'));
    vi.stubEnv('PATH', `${folder}${delimiter}${process.env.PATH}`);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    rmSync(folder, { recursive: true });
  });

  /** @param run what `docker run` does, as shell script; `$folder` is the test's */
  function docker(run: string): void {
    const script = `#!/bin/sh
folder=${JSON.stringify(folder)}
case "$1" in
  version) ;;
  run) ${run} ;;
  rm) echo "$@" > "$folder/removed" ;;
esac
`;
    writeFileSync(join(folder, 'docker'), script, { mode: 0o755 });
  }

  const start = (signal?: AbortSignal) =>
    startLocalStackInDocker({
      region: 'eu-central-1',
      functionEnvironment: {},
      folder,
      logKeptIn: join(folder, 'log'),
      libraries: [],
      // As long as removing it may take, too.
      stopLimit: 2_000,
      ...(signal === undefined ? {} : { signal }),
    });

  it('is said at its start to be open to the network, before anything listens', async () => {
    docker('exit 0');
    const said: string[] = [];
    vi.spyOn(console, 'log').mockImplementation((line: string) => void said.push(line));
    vi.mocked(build).mockRejectedValueOnce(new Error('Not built.'));
    const options = { cloud: 'localstack-docker', signer: 'pkcs11', allowAsymmetric: false } as const;
    const { start: startCloud } = chooseCloud(options as unknown as StartOptions);
    await expect(startCloud(new AbortController().signal)).rejects.toThrow('Not built.');
    expect(said).toEqual([
      expect.stringMatching(/^DynamoDB Local, [^\n]* all addresses of this machine/),
      'bundling the functions ...',
    ]);
  });

  it('says what docker said, and what to do, when the container ends', async () => {
    docker('echo "no such image" >&2; exit 125');
    await expect(start()).rejects.toThrow(
      /^LocalStack ended by itself \(exit code 125\)\. Run the same again; [^\n]*`docker pull localstack\/localstack:4\.14\.0`[^]+ {2}no such image$/,
    );
  });

  it('removes a container that does not end by itself, and ends the command line that waits for it', async () => {
    docker('echo $$ > "$folder/pid.new"; mv "$folder/pid.new" "$folder/pid"; exec sleep 600');
    const givenUp = new AbortController();
    const starting = start(givenUp.signal);
    await expect.poll(() => existsSync(join(folder, 'pid')), { timeout: 10_000 }).toBe(true);
    givenUp.abort(new Error('Enough.'));
    await expect(starting).rejects.toThrow(/^Enough\.$/);
    expect(readFileSync(join(folder, 'removed'), 'utf8')).toMatch(/^rm --force mintmark-[0-9a-f-]{36}\n$/);
    expect(() => process.kill(Number(readFileSync(join(folder, 'pid'), 'utf8')), 0)).toThrow('ESRCH');
  });

  it('ends at the end of its standard input, where the container lets it', async () => {
    docker('touch "$folder/begun"; cat; touch "$folder/ended"');
    const givenUp = new AbortController();
    const starting = startLocalStackInDocker({
      region: 'eu-central-1',
      functionEnvironment: {},
      folder,
      logKeptIn: join(folder, 'log'),
      libraries: [],
      signal: givenUp.signal,
    });
    await expect.poll(() => existsSync(join(folder, 'begun')), { timeout: 10_000 }).toBe(true);
    givenUp.abort(new Error('Enough.'));
    await expect(starting).rejects.toThrow(/^Enough\.$/);
    expect(existsSync(join(folder, 'ended'))).toBe(true);
    expect(existsSync(join(folder, 'removed'))).toBe(false);
  });
});
