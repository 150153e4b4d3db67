import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, GetPublicKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../local/embedded/seeded-random.ts';
import { type FaultName, writeFaults } from '../../local/pkcs11-shim/faults.ts';
import { readRecord } from '../../local/pkcs11-shim/record.ts';
import { readInstalled } from '../../local/setup/installed.ts';
import { generateKeyPair } from '../../local/softhsm/key-pair.ts';
import { createToken, withToken } from '../../local/softhsm/token.ts';
import { asMintmarkError } from '../../shared/errors.ts';
import { readCertificateParts } from '../../shared/issuance/certificate.ts';
import { certify } from '../../shared/issuance/certify.ts';
import { openAwsKmsSigner } from '../../shared/signer/awskms.ts';
import { openPkcs11Signer } from '../../shared/signer/pkcs11.ts';
import type { Signer } from '../../shared/signer/port.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { startTestStub, type TestStub } from './stub-fixture.ts';

const { softhsm2Library, pkcs11Shim } = readInstalled();
const directory = mkdtempSync(join(tmpdir(), 'mintmark-certify-faults-'));
const recordPath = join(directory, 'record');
const faultsPath = join(directory, 'faults');

Object.assign(process.env, {
  PKCS11_SHIM_LIBRARY: softhsm2Library,
  PKCS11_SHIM_RECORD: recordPath,
  PKCS11_SHIM_FAULTS: faultsPath,
});

const seed = Number(process.env['MINTMARK_TEST_SEED'] ?? Date.now() % 1_000_000_000);
const batchSize = 100;

/** A TBSCertificate that says ecdsa-with-SHA256, as both signers sign here; each with a serial number of its own. */
const { root } = makeIssuingCa({ notBefore: new Date(0), notAfter: new Date(8.64e13) });
const template = readCertificateParts(root).tbsCertificate;
/** After the SEQUENCE's and the version's five bytes: an INTEGER of one byte (RFC 5280 section 4.1.2). */
const serialNumberAt = template.length > 0x83 ? 4 + 5 : 3 + 5;

let made = 0;
function newTbs(): Uint8Array {
  made += 1;
  const serial = Buffer.alloc(8);
  serial.writeUInt32BE(made, 1);
  const before = template.subarray(template.length > 0x83 ? 4 : 3, serialNumberAt);
  const after = template.subarray(serialNumberAt + 3);
  serial[0] = 1;
  const contents = Buffer.concat([before, Buffer.of(2, serial.length), serial, after]);
  return Buffer.concat([Buffer.of(0x30, 0x82, contents.length >> 8, contents.length & 0xff), contents]);
}

interface Tally {
  certificates: number;
  readonly errors: Map<string, number>;
}

/** Every certificate that comes out of it is parsed and verified by OpenSSL, and none twice. */
async function certifyMany(signer: Signer, publicKey: KeyObject, count: number): Promise<Tally> {
  const tally: Tally = { certificates: 0, errors: new Map() };
  for (let done = 0; done < count; done += batchSize) {
    const batch = Array.from({ length: batchSize }, newTbs);
    const answers = await certify(signer, publicKey, batch, Date.now() + 20_000);
    expect(answers).toHaveLength(batch.length);
    for (const [index, answer] of answers.entries()) {
      if ('error' in answer) {
        const { code } = asMintmarkError(answer.error);
        tally.errors.set(code, (tally.errors.get(code) ?? 0) + 1);
        continue;
      }
      const { tbsCertificate } = readCertificateParts(answer.certificate);
      expect(Buffer.compare(tbsCertificate, batch[index] ?? Buffer.alloc(0)), `seed ${seed}`).toBe(0);
      expect(new X509Certificate(answer.certificate).verify(publicKey), `seed ${seed}`).toBe(true);
      tally.certificates += 1;
    }
  }
  return tally;
}

afterAll(() => rmSync(directory, { recursive: true }));

describe(`10,000 signatures with random faults (seed ${seed})`, () => {
  it('of a pkcs11: signer: no wrong one comes out, and no answer is missing', async () => {
    const token = { directory: join(directory, 'tokens'), library: softhsm2Library, label: 'fleet' };
    const userPin = 'crypto_user:correct-horse-battery';
    createToken({ ...token, soPin: 'security-officer', userPin });
    const { publicKey } = withToken({ ...token, userPin }, (session) =>
      generateKeyPair(session, { label: 'ca', id: Uint8Array.of(1), algorithm: 'P-256' }),
    );
    const signer = await openPkcs11Signer({
      uri: 'pkcs11:token=fleet;object=ca;type=private',
      library: pkcs11Shim,
      pin: Buffer.from(userPin),
      certificatePublicKey: publicKey,
      sessions: 4,
      workerUrl: new URL('../../shared/signer/pkcs11-worker.ts', import.meta.url),
      deadline: Date.now() + 20_000,
      now: Date.now,
      random: Math.random,
    });
    const random = SeededRandom.of(seed);
    const chances: readonly (readonly [FaultName, number])[] = [
      ['busy', 0.002],
      ['session-lost', 0.001],
      ['device-removed', 0.001],
      ['reply-lost', 0.001],
      ['corrupt', 0.01],
      ['slow', 0.01],
    ];
    writeFaults(
      faultsPath,
      chances.map(([fault, probability]) => ({
        fault,
        count: -1,
        milliseconds: 1,
        chance: { probability, state: random.named(fault).bits() },
      })),
    );
    const before = readRecord(recordPath).length;
    const { certificates, errors } = await certifyMany(signer, publicKey, 9_000);
    // What was made and is not given out is wrong, or was made again.
    expect(readRecord(recordPath).length - before).toBeGreaterThanOrEqual(
      certificates + (errors.get('SIGNATURE_WRONG') ?? 0),
    );
    expect(errors.get('SIGNATURE_WRONG')).toBeGreaterThan(0);
    expect(signer.recoveries).toBeGreaterThan(0);
    expect([...errors.keys()].filter((code) => !['SIGNATURE_WRONG', 'SIGNER_UNAVAILABLE'].includes(code))).toEqual([]);
    expect(certificates).toBeGreaterThan(8_000);
    await signer.close();
  });

  it('of an awskms: signer, likewise', async () => {
    const stub: TestStub = await startTestStub();
    const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'any' };
    const kms = new KMSClient({ region: 'eu-west-1', credentials, endpoint: stub.endpoint });
    try {
      const { KeyMetadata: created } = await kms.send(
        new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }),
      );
      const keyId = created?.Arn ?? '';
      const { PublicKey: spki = new Uint8Array() } = await kms.send(new GetPublicKeyCommand({ KeyId: keyId }));
      const publicKey = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
      const signer = await openAwsKmsSigner({
        kms,
        uri: `awskms:key-id=${keyId}`,
        certificatePublicKey: publicKey,
        deadline: Date.now() + 20_000,
        now: Date.now,
        onAskedAgain: () => undefined,
      });
      const random = SeededRandom.of(seed).named('kms');
      const operation = 'TrentService.Sign';
      const tally: Tally = { certificates: 0, errors: new Map() };
      for (let round = 0; round < 10; round++) {
        const count = 1 + random.below(5);
        stub.setFaults(
          random.shuffled([
            { operation, count, effect: 'corrupt-signature' },
            { operation, count, effect: 'connection-dropped' },
            { operation, count, code: 'KMSInternalException', when: 'after' },
            { operation, count, code: 'ThrottlingException' },
            { operation, count, code: 'KMSInvalidStateException' },
          ]),
        );
        const { certificates, errors } = await certifyMany(signer, publicKey, 100);
        tally.certificates += certificates;
        for (const [code, times] of errors) tally.errors.set(code, (tally.errors.get(code) ?? 0) + times);
      }
      expect(tally.errors.get('SIGNATURE_WRONG')).toBeGreaterThan(0);
      expect(tally.certificates).toBeGreaterThan(500);
      await signer.close();
    } finally {
      kms.destroy();
      await stub.stop();
    }
  });
});
