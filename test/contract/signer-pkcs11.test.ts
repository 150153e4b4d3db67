import { spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { type Fault, readFaults, writeFaults } from '../../local/pkcs11-shim/faults.ts';
import { readRecord } from '../../local/pkcs11-shim/record.ts';
import { readInstalled } from '../../local/setup/installed.ts';
import { generateKeyPair, type KeyAlgorithm } from '../../local/softhsm/key-pair.ts';
import { createToken, withToken } from '../../local/softhsm/token.ts';
import { openPkcs11Signer, type Pkcs11Signer, type Pkcs11SignerOptions } from '../../shared/signer/pkcs11.ts';
import type { SignatureScheme, SignResult } from '../../shared/signer/port.ts';
import { describeSignerContract, isSignatureOf, type SignerFaults } from './signer.ts';

const { softhsm2Library, pkcs11Shim } = readInstalled();
const directory = mkdtempSync(join(tmpdir(), 'mintmark-signer-'));
const recordPath = join(directory, 'record');
const faultsPath = join(directory, 'faults');
const token = { directory: join(directory, 'tokens'), library: softhsm2Library, label: 'fleet' };
const userPin = 'crypto_user:correct-horse-battery';
const workerUrl = new URL('../../shared/signer/pkcs11-worker.ts', import.meta.url);

Object.assign(process.env, {
  PKCS11_SHIM_LIBRARY: softhsm2Library,
  PKCS11_SHIM_RECORD: recordPath,
  PKCS11_SHIM_FAULTS: faultsPath,
});

interface TestKey {
  readonly name: string;
  readonly algorithm: KeyAlgorithm;
  readonly scheme?: SignatureScheme;
}

const keys: readonly TestKey[] = [
  { name: 'p256', algorithm: 'P-256' },
  { name: 'p384', algorithm: 'P-384' },
  { name: 'p521', algorithm: 'P-521' },
  { name: 'rsa2048', algorithm: 'RSA-2048' },
  { name: 'rsa2048-pss', algorithm: 'RSA-2048', scheme: { algorithm: 'rsa-pss', hash: 'sha256' } },
];

createToken({ ...token, soPin: 'security-officer', userPin });
const publicKeys = withToken({ ...token, userPin }, (session) => {
  const made = keys.map(({ name, algorithm }, index): [string, KeyObject] => {
    return [name, generateKeyPair(session, { label: name, id: Uint8Array.of(index + 1), algorithm }).publicKey];
  });
  for (const id of [0xf1, 0xf2]) {
    generateKeyPair(session, { label: 'twin', id: Uint8Array.of(id), algorithm: 'P-256' });
  }
  const loose = { label: 'loose', id: Uint8Array.of(0xee), algorithm: 'P-256', extractable: true } as const;
  return new Map([...made, ['loose', generateKeyPair(session, loose).publicKey]]);
});

afterAll(() => rmSync(directory, { recursive: true }));

function publicKeyOf(name: string): KeyObject {
  const publicKey = publicKeys.get(name);
  if (publicKey === undefined) throw new Error(`No key ${name}`);
  return publicKey;
}

function open(name: string, options: Partial<Pkcs11SignerOptions> = {}): Promise<Pkcs11Signer> {
  return openPkcs11Signer({
    uri: `pkcs11:token=fleet;object=${name};type=private`,
    library: pkcs11Shim,
    pin: Buffer.from(userPin),
    certificatePublicKey: publicKeyOf(name),
    workerUrl,
    deadline: Date.now() + 10_000,
    now: Date.now,
    random: Math.random,
    ...options,
  });
}

const setFaults = (...faults: Fault[]): void => writeFaults(faultsPath, faults);

const faults: SignerFaults = {
  busy: (count) => setFaults({ fault: 'busy', count }),
  sessionLost: (count) => setFaults({ fault: 'session-lost', count }),
  replyLost: (count) => setFaults({ fault: 'reply-lost', count }),
  corrupt: (count) => setFaults({ fault: 'corrupt', count }),
  slow: (count, milliseconds) => setFaults({ fault: 'slow', count, milliseconds }),
  none: () => setFaults(),
};

afterEach(() => faults.none());

const contracts = [
  ...keys.map((key) => ({ ...key, sessions: 1 })),
  ...keys.filter(({ name }) => ['p256', 'rsa2048-pss'].includes(name)).map((key) => ({ ...key, sessions: 4 })),
];

for (const { name, scheme, sessions } of contracts) {
  describeSignerContract(`a pkcs11: signer with ${name} and ${sessions} sessions`, async () => {
    const signer = await open(name, { sessions, ...(scheme === undefined ? {} : { scheme }) });
    return {
      signer,
      faults,
      inOrder: sessions === 1,
      atATime: sessions,
      uri: `pkcs11:token=fleet;object=${name};type=private`,
      signedDigests: () => readRecord(recordPath).map(({ digest }) => digest),
      secrets: [userPin, 'correct-horse-battery'],
    };
  });
}

it.each([
  ['p384', { algorithm: 'ecdsa', hash: 'sha256' }],
  ['rsa2048', { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha384' }],
  ['rsa2048', { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha512' }],
  ['rsa2048', { algorithm: 'rsa-pss', hash: 'sha384' }],
  ['rsa2048', { algorithm: 'rsa-pss', hash: 'sha512' }],
] satisfies [string, SignatureScheme][])('%s signs by %o', async (name, scheme) => {
  const signer = await open(name, { scheme });
  const message = Buffer.from('to be signed');
  const [result] = await signer.sign([createHash(scheme.hash).update(message).digest()], soon());
  expect(result !== undefined && 'signature' in result && isSignatureOf(signer, message, result.signature)).toBe(true);
  await signer.close();
});

const digest = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const soon = (): number => Date.now() + 10_000;

/** The error of an opening that must fail, with a look for the PIN in it. */
async function refusal(opening: Promise<Pkcs11Signer>): Promise<unknown> {
  const error: unknown = await opening.then(
    (signer) => signer.close().then(() => new Error('It was opened')),
    (reason: unknown) => reason,
  );
  const shown = inspect(error, { depth: 10, showHidden: true });
  expect(shown).not.toContain('correct-horse-battery');
  expect(shown).not.toContain('incorrect-horse');
  return error;
}

describe('opening a pkcs11: signer', () => {
  const misconfigured = (message: RegExp) => ({
    code: 'SIGNER_MISCONFIGURED',
    message: expect.stringMatching(message) as string,
  });

  it('finds the key by its id', async () => {
    const signer = await open('p256', { uri: 'pkcs11:token=fleet;id=%01' });
    expect(await signer.sign([digest(1)], soon())).toEqual([{ signature: expect.any(Uint8Array) as Uint8Array }]);
    await signer.close();
  });

  it.each([
    ['a key that is not there', { uri: 'pkcs11:token=fleet;object=nobody' }, /not on the token/],
    ['a name that two keys have', { uri: 'pkcs11:token=fleet;object=twin' }, /more than one private key/],
    ['a token that is not there', { uri: 'pkcs11:token=other;object=p256' }, /no token/],
    ['a URI without a key', { uri: 'pkcs11:token=fleet' }, /object, id or both/],
    ['a public key', { uri: 'pkcs11:token=fleet;object=p256;type=public' }, /type=private/],
    ['a library that is not there', { library: '/nonexistent/libpkcs11.so' }, /cannot be loaded/],
    ['the key of another certificate', { certificatePublicKey: publicKeyOf('loose') }, /issuer's certificate/],
    ['a scheme of another kind of key', { scheme: { algorithm: 'rsa-pss', hash: 'sha256' } }, /rsa-pss/],
    ['a hash longer than the curve', { scheme: { algorithm: 'ecdsa', hash: 'sha384' } }, /longer than the order/],
  ] satisfies [string, Partial<Pkcs11SignerOptions>, RegExp][])('refuses %s', async (_, options, message) => {
    expect(await refusal(open('p256', options))).toMatchObject(misconfigured(message));
  });

  it.each([
    ['a wrong PIN', { pin: Buffer.from('crypto_user:incorrect-horse') }, /CKR_PIN_INCORRECT/],
    ['a PIN that is too short', { pin: Buffer.from('1') }, /CKR_PIN_(LEN_RANGE|INCORRECT)/],
  ])('says of %s that it must not be tried again', async (_, options, message) => {
    expect(await refusal(open('p256', options))).toMatchObject({
      code: 'SIGNER_PIN_REFUSED',
      message: expect.stringMatching(message) as string,
    });
  });

  it('refuses a key that may leave the HSM', async () => {
    expect(await refusal(open('loose'))).toMatchObject(misconfigured(/CKA_EXTRACTABLE/));
  });

  it('refuses a curve that no scheme of ours has', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
    expect(await refusal(open('p256', { certificatePublicKey: publicKey }))).toMatchObject(misconfigured(/curve/));
  });

  it('says deadline when C_Initialize hangs', async () => {
    setFaults({ fault: 'hang-initialize', count: 1, milliseconds: 1_000 });
    const deadline = Date.now() + 300;
    expect(await refusal(open('p256', { deadline }))).toMatchObject({ code: 'SIGNER_DEADLINE' });
    // Closing does not wait for the thread either.
    expect(Date.now()).toBeLessThan(deadline + 300);
  });
});

describe('an open pkcs11: signer', () => {
  it('tells of the sessions that it had to open again, and of what it asked for again', async () => {
    const told: unknown[] = [];
    const signer = await open('p256', {
      onRecovered: (recoveries) => told.push({ recoveries }),
      onAskedAgain: (signatures) => told.push({ signatures }),
    });
    expect(signer.recoveries).toBe(0);
    setFaults({ fault: 'session-lost', count: 1 }, { fault: 'device-removed', count: 1 });
    // Lost, and lost again in the new session: one retry, no more.
    expect(await signer.sign([digest(1)], soon())).toMatchObject([
      { error: { code: 'SIGNER_UNAVAILABLE', message: expect.stringContaining('CKR_DEVICE_REMOVED') as string } },
    ]);
    expect(signer.recoveries).toBe(1);
    expect(await signer.sign([digest(1)], soon())).toMatchObject([{ signature: expect.any(Uint8Array) as Uint8Array }]);
    expect(signer.recoveries).toBe(2);
    expect(told).toEqual([{ signatures: 1 }, { recoveries: 1 }, { recoveries: 2 }]);
    setFaults({ fault: 'busy', count: 3 });
    expect(await signer.sign([digest(1), digest(2)], soon())).toMatchObject([
      { signature: expect.any(Uint8Array) as Uint8Array },
      { signature: expect.any(Uint8Array) as Uint8Array },
    ]);
    expect(told.slice(3)).toEqual([{ signatures: 2 }, { signatures: 1 }]);
    await signer.close();
  });

  it('is stuck while an answer is overdue, says so at once, and is not once it came', async () => {
    const signer = await open('p256');
    setFaults({ fault: 'slow', count: 1, milliseconds: 1_000 });
    const [late] = await signer.sign([digest(1)], Date.now() + 200);
    expect(late).toMatchObject({ error: { code: 'SIGNER_DEADLINE' } });
    expect(signer.stuck).toBe(true);
    const asked = Date.now();
    expect(await signer.sign([digest(2)], soon())).toMatchObject([{ error: { code: 'SIGNER_UNAVAILABLE' } }]);
    expect(Date.now() - asked).toBeLessThan(100);
    await expect.poll(() => signer.stuck, { timeout: 5_000 }).toBe(false);
    expect(await signer.sign([digest(3)], soon())).toMatchObject([{ signature: expect.any(Uint8Array) as Uint8Array }]);
    await signer.close();
  });

  it('shares the library with another one that loses its session', async () => {
    const [one, other] = [await open('p256'), await open('rsa2048')];
    for (const fault of ['session-lost', 'device-removed', 'session-lost'] as const) {
      setFaults({ fault, count: 1 });
      const results = await Promise.all([one.sign([digest(1)], soon()), other.sign([digest(2)], soon())]);
      expect(results.flat().every((result) => 'signature' in result)).toBe(true);
    }
    // Each time both had to open a session again, and neither took the other's away.
    expect([one.recoveries, other.recoveries]).toEqual([3, 3]);
    await one.close();
    expect(await other.sign([digest(3)], soon())).toMatchObject([{ signature: expect.any(Uint8Array) as Uint8Array }]);
    await other.close();
  });

  it('has no PIN in its environment, its arguments or what it prints', async () => {
    const signer = await open('p256');
    expect(inspect([signer, process.env, process.argv, process.execArgv], { depth: 5 })).not.toContain('correct-horse');
    await signer.close();
  });
});

describe('the PKCS#11 shim', () => {
  const child = fileURLToPath(new URL('./signer-child.ts', import.meta.url));
  const openAndSign = (count: number) =>
    spawnSync(process.execPath, [child], {
      encoding: 'utf8',
      timeout: 20_000,
      input: JSON.stringify({
        uri: 'pkcs11:token=fleet;object=p256',
        library: pkcs11Shim,
        pin: userPin,
        publicKey: publicKeyOf('p256').export({ type: 'spki', format: 'pem' }),
        count,
      }),
    });

  it.each([
    { fault: 'crash-before-sign', recorded: 0 },
    { fault: 'crash-after-sign', recorded: 1 },
  ] as const)('$fault kills the process with $recorded signatures recorded', ({ fault, recorded }) => {
    rmSync(recordPath, { force: true });
    setFaults({ fault, count: 1 });
    expect(openAndSign(3).signal).toBe('SIGKILL');
    expect(readRecord(recordPath)).toHaveLength(recorded);
    expect(readFaults(faultsPath)).toEqual([{ fault, count: 0, milliseconds: 0 }]);
    const second = openAndSign(3);
    expect([second.status, second.stdout]).toEqual([0, '3\n']);
    expect(readRecord(recordPath)).toHaveLength(recorded + 3);
  });

  it('leaves a process whose C_Initialize hangs able to say so and to end itself', () => {
    setFaults({ fault: 'hang-initialize', count: 1, milliseconds: 120_000 });
    const { signal, stdout } = openAndSign(1);
    expect([signal, stdout]).toEqual(['SIGKILL', 'SIGNER_DEADLINE\n']);
  });

  it('asks for the PIN where it is to, although the process has logged in, and the other signers sign on', async () => {
    const standing = await open('p256');
    const wrong = { pin: Buffer.from('crypto_user:of-last-year') };
    // A login is the process's: nobody asks for this one's PIN.
    const unasked = await open('p384', wrong);
    await unasked.close();
    await expect(open('p384', { ...wrong, logsInAnew: true })).rejects.toMatchObject({ code: 'SIGNER_PIN_REFUSED' });
    const right = await open('p384', { logsInAnew: true });
    try {
      for (const signer of [standing, right, standing]) {
        const message = Buffer.from(signer.uri);
        const [result] = await signer.sign([createHash(signer.scheme.hash).update(message).digest()], soon());
        const signature = result !== undefined && 'signature' in result ? result.signature : Buffer.alloc(0);
        expect(isSignatureOf(signer, message, signature)).toBe(true);
      }
      expect([standing.recoveries, right.recoveries]).toEqual([1, 0]);
    } finally {
      await standing.close();
      await right.close();
    }
  });

  it('records when, who, how and what', async () => {
    rmSync(recordPath, { force: true });
    const before = Date.now();
    const signer = await open('rsa2048');
    await signer.sign([digest(7)], soon());
    await signer.close();
    expect(readRecord(recordPath)).toEqual([
      {
        at: expect.any(Number) as number,
        processId: process.pid,
        mechanism: 1,
        digest: '07'.repeat(32),
        keyLabel: 'rsa2048',
      },
    ]);
    const at = readRecord(recordPath)[0]?.at;
    expect(at).toBeGreaterThanOrEqual(before);
    expect(at).toBeLessThanOrEqual(Date.now());
  });

  it('gives no signature out that it cannot record', async () => {
    rmSync(recordPath, { force: true });
    mkdirSync(recordPath);
    const signer = await open('p256');
    try {
      expect(await signer.sign([digest(1)], soon())).toMatchObject([{ error: { code: 'SIGNER_UNAVAILABLE' } }]);
    } finally {
      rmSync(recordPath, { recursive: true });
      await signer.close();
    }
  });

  it('down: every call fails, and nothing is signed, until the HSM is back', async () => {
    rmSync(recordPath, { force: true });
    const standing = await open('p256');
    try {
      setFaults({ fault: 'down', count: -1 });
      const [result] = await standing.sign([digest(1)], soon());
      expect(result).toMatchObject({ error: { code: 'SIGNER_UNAVAILABLE' } });
      expect((result as { error: Error }).error.message).toContain('CKR_DEVICE_REMOVED');
      await expect(open('p384')).rejects.toMatchObject({ code: 'SIGNER_UNAVAILABLE' });
      expect(openAndSign(1).stdout).toBe('SIGNER_UNAVAILABLE\n');
      expect(readRecord(recordPath)).toEqual([]);

      faults.none();
      expect(await standing.sign([digest(1)], soon())).toMatchObject([
        { signature: expect.any(Uint8Array) as Uint8Array },
      ]);
      expect(readRecord(recordPath)).toHaveLength(1);
    } finally {
      await standing.close();
    }
  });

  it('a chance: the same state draws the same faults, another one others', async () => {
    const signer = await open('p256');
    const messages = Array.from({ length: 60 }, (_, index) => Buffer.from(`message ${index}`));
    const digests = messages.map((message) => createHash('sha256').update(message).digest());
    const drawn = async (state: bigint) => {
      setFaults({ fault: 'corrupt', count: -1, chance: { probability: 0.25, state } });
      const results = await signer.sign(digests, soon());
      const isRight = (message: Buffer, result: SignResult | undefined) =>
        result !== undefined && 'signature' in result && isSignatureOf(signer, message, result.signature);
      return messages.map((message, index) => (isRight(message, results[index]) ? '.' : 'x')).join('');
    };
    try {
      const first = await drawn(1n);
      expect(await drawn(1n)).toBe(first);
      expect(await drawn(2n)).not.toBe(first);
      const share = first.split('x').length - 1;
      expect(share).toBeGreaterThan(5);
      expect(share).toBeLessThan(25);
      expect(readFaults(faultsPath)).toMatchObject([{ fault: 'corrupt', count: -1, chance: { probability: 0.25 } }]);
    } finally {
      await signer.close();
    }
  });

  it('spares a process, and befalls the others', async () => {
    const signer = await open('p256');
    const left = async (spared: number) => {
      setFaults({ fault: 'busy', count: 1, spared });
      await signer.sign([digest(1)], soon());
      return readFaults(faultsPath)[0];
    };
    try {
      expect(await left(process.pid)).toMatchObject({ count: 1, spared: process.pid });
      expect(await left(process.ppid)).toMatchObject({ count: 0, spared: process.ppid });
    } finally {
      await signer.close();
    }
  });

  it('fails every call when its faults cannot be understood', async () => {
    const signer = await open('p256');
    setFaults({ fault: 'buzy' as 'busy', count: 1 });
    expect(await signer.sign([digest(1)], soon())).toMatchObject([{ error: { code: 'SIGNER_UNAVAILABLE' } }]);
    faults.none();
    expect(await signer.sign([digest(1)], soon())).toMatchObject([{ signature: expect.any(Uint8Array) as Uint8Array }]);
    await signer.close();
  });
});
