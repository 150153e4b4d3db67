import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeFaults } from '../../local/pkcs11-shim/faults.ts';
import { generateEcKey, makeCsr, openssl } from '../fixtures/csr/make.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { StartFolder } from '../support/embedded-process.ts';
import { until } from '../support/embedded-until.ts';

const key = generateEcKey('P-256');
const exited = (code: number) => ({ code, signal: null });

// What is left running is found in /proc.
const hasProc = existsSync('/proc/self/environ');
const orNoProc = hasProc ? '' : ' (skipped: this system has no /proc to look into)';
describe.skipIf(!hasProc)(`node local/start.ts${orNoProc}`, () => {
  let folder: StartFolder;
  let out: string;
  beforeEach(() => {
    folder = new StartFolder();
    out = join(folder.temporary, 'out');
  });
  afterEach(() => folder.remove());

  /** A folder of CSRs. */
  function csrFolder(files: Readonly<Record<string, string | Buffer>>): string {
    const path = join(folder.temporary, 'csr');
    mkdirSync(path);
    for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
    return path;
  }

  it.each([{ signer: ['--signer', 'awskms'] }, { signer: ['--signer', 'awskms-cloudhsm', '--allow-asymmetric'] }])(
    '$signer: the whole way, with kms:Sign',
    async ({ signer }) => {
      const csr = csrFolder({ 'good.csr': makePemCsr(key, 'good'), 'someone.csr': makePemCsr(key, 'someone-else') });
      const started = folder.start('--csr', csr, '--out', out, '--exit', ...signer);
      expect(await started.exited).toEqual(exited(0));
      const results = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Record<string, string>[];
      expect(results.map(({ code, status }) => code ?? status)).toEqual(['issued', 'NAME_NOT_ALLOWED']);
      const leaf = join(out, 'good.pem');
      const chain = ['-CAfile', join(out, 'root.pem'), '-untrusted', leaf, leaf];
      expect(openssl(['verify', '-x509_strict', '-purpose', 'sslclient', ...chain]).toString()).toBe(`${leaf}: OK\n`);
    },
  );

  it('--signer awskms-cloudhsm: says in one sentence that KMS refuses, and what to do', async () => {
    const started = folder.start('--out', out, '--exit', '--signer', 'awskms-cloudhsm');
    expect(await started.exited).toEqual(exited(1));
    expect(started.errors).toMatch(
      /^KMS refuses a signing key in the custom key store \(UnsupportedOperationException: [^\n]*--signer pkcs11 [^\n]*\n$/,
    );
  });

  it('--csr DIR --out DIR --exit: one answer for every file, whatever is in it', async () => {
    const binary = Buffer.from(Array.from({ length: 300 }, (_, index) => (index * 89 + 0xfe) & 0xff));
    const csr = csrFolder({
      'good.csr': makePemCsr(key, 'good'),
      'binary.der': makeCsr(key, { subject: '/CN=binary' }),
      'text.pem': makePemCsr(key, 'text', { options: ['-text'] }),
      'grüße.pem': `Grüße aus der Fabrik\n${makePemCsr(key, 'x')}`,
      'windows.pem': makePemCsr(key, 'windows').replaceAll('\n', '\r\n'),
      'plain.b64': `${makeCsr(key, { subject: '/CN=plain' }).toString('base64')}\n`,
      'no-extension': makePemCsr(key, 'no-extension'),
      'twice.csr': makePemCsr(key, 'twice'),
      'twice.pem': makePemCsr(key, 'twice'),
      root: makePemCsr(key, 'root'),
      'root.csr': makePemCsr(key, 'root'),
      'someone.csr': makePemCsr(key, 'someone-else'),
      'small.csr': makePemCsr(openssl(['genrsa', '1024']).toString(), 'small'),
      'empty.csr': '',
      'garbage.bin': binary,
      'cut.der': makeCsr(key, { subject: '/CN=cut' }).subarray(0, 99),
      'not a device.csr': makePemCsr(key, 'x'),
      '.hidden': makePemCsr(key, '.hidden'),
      'huge.csr': Buffer.alloc(300_000, 'A'),
      'long.csr': Buffer.alloc(100_000, 'A'),
      // Six bytes of JSON for each of its own: more than a message holds, though the file is small enough.
      'control.pem': Buffer.from(`-----BEGIN ${'\u0001'.repeat(250_000)}`),
      'good.key': openssl(['genpkey', '-algorithm', 'ed25519']).toString(),
    });
    mkdirSync(join(csr, 'folder.csr'));
    symlinkSync(join(csr, 'nowhere'), join(csr, 'dangling.csr'));
    symlinkSync('loop.csr', join(csr, 'loop.csr'));
    execFileSync('mkfifo', [join(csr, 'pipe.csr')]);

    const started = folder.start('--csr', csr, '--out', out, '--exit');
    expect(await started.exited).toEqual(exited(0));
    expect(started.errors).toBe('');
    expect(started.output).toContain('25/25 answered');
    expect(started.output).toMatch(/^good\.key +good +not-sent +CSR_NOT_DECODABLE$/m);
    expect(started.output).toMatch(/10 issued and verified, 9 rejected, 6 not sent/);

    const results = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Record<string, string>[];
    const files = readdirSync(csr).filter((name) => name !== 'folder.csr');
    expect(results.map(({ file }) => file).sort()).toEqual(files.sort());
    expect(new Set(results.map(({ requestId }) => requestId)).size).toBe(results.length);
    for (const result of results) {
      expect(result.deviceId).toBe(/^(?<stem>.+?)(\.[^.]*)?$/.exec(result.file ?? '')?.groups?.stem);
      if (result.status !== 'issued') expect(result.detail).toMatch(/^\S.*\.$/);
      else expect(result.serialNumber).toMatch(/^[0-9a-f]{32}$/);
    }
    expect(Object.fromEntries(results.map(({ file, code, status }) => [file, code ?? status]))).toEqual({
      'good.csr': 'issued',
      'binary.der': 'issued',
      'text.pem': 'issued',
      'grüße.pem': 'MESSAGE_INVALID',
      'windows.pem': 'issued',
      'plain.b64': 'issued',
      'no-extension': 'issued',
      'twice.csr': 'issued',
      'twice.pem': 'issued',
      root: 'issued',
      'root.csr': 'issued',
      'someone.csr': 'NAME_NOT_ALLOWED',
      'small.csr': 'KEY_TOO_SMALL',
      'empty.csr': 'CSR_NOT_DECODABLE',
      'garbage.bin': 'CSR_NOT_DECODABLE',
      'cut.der': 'CSR_TRUNCATED',
      'not a device.csr': 'MESSAGE_INVALID',
      '.hidden': 'MESSAGE_INVALID',
      'huge.csr': 'CSR_TOO_LARGE',
      'long.csr': 'MESSAGE_TOO_LARGE',
      'control.pem': 'CSR_TOO_LARGE',
      'dangling.csr': 'CSR_NOT_DECODABLE',
      'loop.csr': 'CSR_NOT_DECODABLE',
      'pipe.csr': 'CSR_NOT_DECODABLE',
      'good.key': 'CSR_NOT_DECODABLE',
    });
    const notSent = results.filter(({ status }) => status === 'not-sent').map(({ file }) => file);
    expect(notSent.toSorted()).toEqual(['control.pem', 'dangling.csr', 'good.key', 'huge.csr', 'loop.csr', 'pipe.csr']);

    const certificates = {
      'good.csr': 'good.pem',
      'binary.der': 'binary.pem',
      'text.pem': 'text.pem',
      'windows.pem': 'windows.pem',
      'plain.b64': 'plain.pem',
      'no-extension': 'no-extension.pem',
      'twice.csr': 'twice.pem',
      'twice.pem': 'twice.pem.pem',
      root: 'root.pem.pem',
      'root.csr': 'root.csr.pem',
    };
    expect(readdirSync(out).sort()).toEqual([...Object.values(certificates), 'results.json', 'root.pem'].sort());
    const root = join(out, 'root.pem');
    expect(new X509Certificate(readFileSync(root)).ca).toBe(true);
    for (const [file, name] of Object.entries(certificates)) {
      const path = join(out, name);
      const verified = openssl([
        'verify',
        '-x509_strict',
        '-purpose',
        'sslclient',
        '-CAfile',
        root,
        '-untrusted',
        path,
        path,
      ]);
      expect(verified.toString()).toMatch(/: OK\n$/);
      const serialNumber = results.find((result) => result.file === file)?.serialNumber;
      expect(new X509Certificate(readFileSync(path)).serialNumber.toLowerCase()).toBe(serialNumber);
    }
    await folder.withoutProcesses();
    expect(folder.states()).toEqual([]);
  });

  it('results that cannot be written: one sentence, before anything is started', async () => {
    const csr = csrFolder({ 'good.csr': makePemCsr(key, 'good') });
    const places = [join(csr, 'good.csr'), join(csr, 'good.csr', 'out'), csr];
    for (const started of places.map((place) => folder.start('--csr', csr, '--out', place, '--exit'))) {
      expect(await started.exited).toEqual(exited(1));
      expect(started.errors).toMatch(/^The certificates [^\n]+ name (a|another) folder with --out\.\n$/);
      expect(started.output).toBe('');
    }
    expect(readdirSync(csr)).toEqual(['good.csr']);
  });

  it('an option that there is not: exit 2', async () => {
    const started = folder.start('--cloud9');
    expect(await started.exited).toEqual(exited(2));
    expect(started.errors).toContain('--cloud9');
  });

  describe('leaves nothing behind', () => {
    /** The state folder of a start, as soon as there is one. */
    const state = () => until(() => folder.states()[0], 'state folder');

    async function expectNothingLeft(): Promise<void> {
      await folder.withoutProcesses();
      expect(folder.states()).toEqual([]);
    }

    it('SIGINT while it starts', async () => {
      const started = folder.start('--out', out);
      await state();
      started.kill('SIGINT');
      expect(await started.exited).toEqual(exited(130));
      expect(started.errors).toBe('');
      await expectNothingLeft();
    });

    it('SIGTERM while requests are under way', async () => {
      const started = folder.start('--csr', csrFolder({ 'good.csr': makePemCsr(key, 'good') }), '--out', out);
      writeFaults(join(await state(), 'faults'), [{ fault: 'busy', count: -1 }]);
      await started.says('0/1 answered');
      started.kill('SIGTERM');
      expect(await started.exited).toEqual(exited(130));
      expect(started.errors).toBe('');
      expect(readdirSync(out)).toEqual([]);
      await expectNothingLeft();
    });

    it('SIGINT while it waits', async () => {
      const started = folder.start('--csr', csrFolder({ 'good.csr': makePemCsr(key, 'good') }), '--out', out);
      await started.says('Ctrl-C ends it.');
      // Itself, the stub and a function.
      expect(folder.processes().length).toBeGreaterThanOrEqual(3);
      started.kill('SIGINT');
      expect(await started.exited).toEqual(exited(0));
      await expectNothingLeft();
    });

    it('SIGKILL: no process; its state goes with the next start, two of which at once do not disturb each other', async () => {
      const csr = csrFolder({ 'good.csr': makePemCsr(key, 'good') });
      const killed = folder.start('--csr', csr, '--out', out);
      await killed.says('Ctrl-C ends it.');
      expect(folder.processes().length).toBeGreaterThanOrEqual(3);
      killed.kill('SIGKILL');
      await killed.exited;
      await folder.withoutProcesses();
      expect(folder.states()).toHaveLength(1);

      const empty = join(folder.temporary, 'empty');
      mkdirSync(empty);
      const [one, two] = [join(folder.temporary, 'one'), join(folder.temporary, 'two')];
      const started = [
        folder.start('--csr', csr, '--out', one, '--exit'),
        folder.start('--csr', empty, '--out', two, '--exit'),
      ];
      expect(await Promise.all(started.map((start) => start.exited))).toEqual([exited(0), exited(0)]);
      expect(readdirSync(one).sort()).toEqual(['good.pem', 'results.json', 'root.pem']);
      expect(readdirSync(two).sort()).toEqual(['results.json', 'root.pem']);
      expect(JSON.parse(readFileSync(join(two, 'results.json'), 'utf8'))).toEqual([]);
      await expectNothingLeft();
    });
  });
});
