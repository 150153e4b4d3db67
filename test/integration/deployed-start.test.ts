import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findJavaHome, findPython, missing } from '../../local/localstack/prerequisites.mjs';
import { generateEcKey, openssl } from '../fixtures/csr/make.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { StartFolder } from '../support/embedded-process.ts';
import { until } from '../support/embedded-until.ts';
import { hasProc, orNoProc, orWhyNot, unavailable } from './localstack-fixture.ts';

/** Milliseconds: LocalStack, and a deployment, on a machine that is busy with other things. */
const upLimit = 110_000;

describe('node local/start.ts --cloud localstack', () => {
  let folder: StartFolder;
  let out: string;
  beforeEach(() => {
    folder = new StartFolder();
    out = join(folder.temporary, 'out');
  });
  afterEach(() => folder.remove());

  // What is left running is found in /proc.
  describe.skipIf(unavailable !== undefined || !hasProc)(`where LocalStack can run${orWhyNot || orNoProc}`, () => {
    it("--signer awskms: issues for a user's CSRs with kms:Sign; SIGKILL: no process is left, Java's included", async () => {
      const csr = join(folder.temporary, 'csr');
      mkdirSync(csr);
      writeFileSync(join(csr, 'good.csr'), makePemCsr(generateEcKey('P-256'), 'good'));
      writeFileSync(join(csr, 'bad.csr'), 'bad');
      const started = folder.start('--cloud', 'localstack', '--signer', 'awskms', '--csr', csr, '--out', out);
      await started.says('Ctrl-C ends it.', upLimit);
      expect(started.errors).toBe('');

      const results = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Record<string, string>[];
      expect(results.map(({ file, code, status }) => [file, code ?? status])).toEqual([
        ['bad.csr', 'CSR_NOT_DECODABLE'],
        ['good.csr', 'issued'],
      ]);
      const [root, good] = [join(out, 'root.pem'), join(out, 'good.pem')];
      expect(openssl(['verify', '-x509_strict', '-CAfile', root, '-untrusted', good, good]).toString()).toMatch(
        /: OK\n$/,
      );

      // The start, the stub, LocalStack, the JVM, a function.
      expect(folder.processes().length).toBeGreaterThanOrEqual(5);
      started.kill('SIGKILL');
      await started.exited;
      await folder.withoutProcesses();
    }, 150_000);

    it.each([
      ['is started', 'starting LocalStack', 'deploying to LocalStack'],
      ['is deployed to', 'deploying to LocalStack', 'AWS endpoint'],
    ])(
      'SIGINT while LocalStack %s: goes no further, and leaves nothing',
      async (_, step, next) => {
        const started = folder.start('--cloud', 'localstack', '--out', out);
        await started.says(step, upLimit);
        started.kill('SIGINT');
        expect(await started.exited).toEqual({ code: 130, signal: null });
        expect(started.output).not.toContain(next);
        expect(started.errors).toBe('');
        await folder.withoutProcesses();
        expect(folder.states()).toEqual([]);
      },
      150_000,
    );
  });

  const lacking = findPython() === undefined ? 'python' : findJavaHome() === undefined ? 'java' : undefined;
  const orNoDownload = lacking === undefined ? orNoProc : ` (skipped: ${missing([lacking]).sentence})`;
  it.skipIf(orNoDownload !== '')(
    `SIGINT while LocalStack is being downloaded, or while another start downloads it: ends, and leaves nothing${orNoDownload}`,
    async () => {
      const answersNever = createServer().listen(0, '127.0.0.1');
      await once(answersNever, 'listening');
      const proxy = `http://127.0.0.1:${(answersNever.address() as AddressInfo).port}`;
      const asked = once(answersNever, 'connection');
      const cache = { XDG_CACHE_HOME: folder.temporary, PIP_PROXY: proxy, PIP_NO_CACHE_DIR: '1', PIP_FIND_LINKS: '' };
      const start = () => folder.startWith(cache, '--cloud', 'localstack', '--out', out);
      const downloads = start();
      await asked;
      const waits = start();
      const waiting = /^set-up: waiting for process \d+, which installs the same \.\.\. /;
      await until(() => waiting.test(waits.errors), 'word of who is waited for');

      waits.kill('SIGINT');
      expect(await waits.exited).toEqual({ code: 130, signal: null });
      expect(waits.errors).toMatch(/ \.\.\. failed\n$/);
      downloads.kill('SIGINT');
      expect(await downloads.exited).toEqual({ code: 130, signal: null });
      expect(downloads.errors).toMatch(/^set-up: installing LocalStack [^\n]+\.\.\. failed\n$/);
      await folder.withoutProcesses();
      answersNever.close();
    },
  );

  it('without what LocalStack needs: one sentence with the cure, exit 1, and nothing is started', async () => {
    const nowhere = {
      PATH: '',
      HOME: folder.temporary,
      PYENV_ROOT: '',
      JAVA_HOME: '',
      XDG_CACHE_HOME: folder.temporary,
    };
    const started = folder.startWith(nowhere, '--cloud', 'localstack', '--out', out);
    expect(await started.exited).toEqual({ code: 1, signal: null });
    expect(started.errors).toMatch(/^LocalStack needs Python 3\.13 [^\n]+, which this machine lacks: [^\n]+\.\n$/);
    expect(started.output).toBe('');
    expect(folder.states()).toEqual([]);
  });

  it('--docker without Docker: one sentence with the cure, exit 1', async () => {
    const started = folder.startWith({ PATH: '' }, '--cloud', 'localstack', '--docker', '--out', out);
    expect(await started.exited).toEqual({ code: 1, signal: null });
    expect(started.errors).toMatch(/^LocalStack in Docker [^\n]+: start LocalStack without --docker[^\n]*\.\n$/);
    expect(started.output).toBe('');
  });
});
