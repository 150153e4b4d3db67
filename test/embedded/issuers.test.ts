import { spawnSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { signCaCertificate } from '../../local/ca/certificate.ts';
import { createKmsSigningKey } from '../../local/ca/kms-key.ts';
import { certificatePem } from '../../shared/issuance/certificate.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { TestCloud } from '../support/embedded-cloud.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { MintmarkCommand } from '../support/mintmark-command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** The local cloud's issuing CA, in SoftHSM2, is replaced by one whose key is in KMS, with the command alone. */

const folder = temporaryFolder('issuers');
const year = 365 * 86_400_000;
const key = generateEcKey('P-256');

let cloud: TestCloud;
beforeAll(async () => {
  cloud = await TestCloud.start();
});
afterAll(() => cloud?.stop());

const mintmark = new MintmarkCommand(() => ({ HOME: folder, ...cloud.local.cloud.environment }));

/** A CA over a new key in KMS, under a new root. @returns the files that `issuers add` takes, and the key's URI */
async function makeCa(): Promise<{ readonly file: string; readonly root: string; readonly signerUri: string }> {
  const { environment } = cloud.local.cloud;
  const kms = new KMSClient({
    endpoint: environment['AWS_ENDPOINT_URL_KMS'] ?? '',
    region: environment['AWS_REGION'] ?? '',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  const issuingKey = await createKmsSigningKey(kms).finally(() => kms.destroy());
  const rootKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = {
    publicKey: rootKey.publicKey,
    curve: 'P-256',
    sign: (tbs: Uint8Array) => sign('sha256', tbs, rootKey.privateKey),
  } as const;
  const common = {
    issuer: 'Next root',
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 9 * year),
  };
  const serialNumber = () => Uint8Array.of(1, ...randomBytes(15));
  const fields = { ...common, serialNumber: serialNumber(), subject: 'Next root', publicKey: rootKey.publicKey };
  const root = signCaCertificate(fields, signer);
  const publicKey = createPublicKey({ key: Buffer.from(issuingKey.publicKey), format: 'der', type: 'spki' });
  const certificate = signCaCertificate(
    {
      ...common,
      serialNumber: serialNumber(),
      subject: 'Next issuing CA',
      publicKey,
      pathLenConstraint: 0,
      issuerUrls: { certificate: 'http://ca.example.com/root.cer', crl: 'http://ca.example.com/root.crl' },
    },
    signer,
  );
  const [file, rootFile] = [join(folder, 'ca.pem'), join(folder, 'next-root.pem')];
  writeFileSync(file, [certificate, root].map(certificatePem).join(''));
  writeFileSync(rootFile, certificatePem(root));
  return { file, root: rootFile, signerUri: issuingKey.signerUri };
}

/** @returns the certificate's file, with its chain */
async function enrol(deviceId: string): Promise<string> {
  const csr = join(folder, `${deviceId}.csr`);
  writeFileSync(csr, makePemCsr(key, deviceId));
  await cloud.local.devices.register({ deviceId, state: 'active' });
  const { code, stdout, stderr } = await mintmark.run(['request', csr, '--out', folder]);
  expect({ code, output: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, output: '' });
  return join(folder, `${deviceId}.pem`);
}

/** By openssl, which trusts this root alone. */
function isOf(root: string, certificate: string): boolean {
  const trust = ['-no-CApath', '-no-CAstore', '-CAfile', root, '-untrusted', certificate];
  const { stdout } = spawnSync('openssl', ['verify', '-x509_strict', ...trust, certificate], { encoding: 'utf8' });
  return stdout.includes(': OK');
}

/** Those that come after them have read nothing yet, as if a minute had gone by. */
async function endEnvironments(): Promise<void> {
  await cloud.drained();
  const running = () => cloud.local.cloud.functions['issue']?.pids() ?? [];
  const ended = running();
  for (const pid of ended) process.kill(pid, 'SIGKILL');
  await cloud.until(() => !running().some((pid) => ended.includes(pid)), 'end of the environments');
}

it('is switched from, and back to, between requests', { timeout: 120_000 }, async () => {
  const localRoot = join(folder, 'local-root.pem');
  writeFileSync(localRoot, certificatePem(cloud.local.rootCertificate));
  expect(isOf(localRoot, await enrol('before'))).toBe(true);

  const ca = await makeCa();
  const stated = { '--id': 'devices-2', '--signer-uri': ca.signerUri, '--base-url': 'http://ca-2.example.com' };
  const options = [...Object.entries(stated).flat(), '--crl-shards', '4'];
  const added = await mintmark.json('issuers', 'add', ca.file, ...options);
  expect(added).toMatchObject({ code: 0, value: { change: 'added' } });
  await endEnvironments();
  expect(isOf(localRoot, await enrol('between'))).toBe(true);

  const activated = await mintmark.json('issuers', 'activate', 'devices-2', '--name', 'devices');
  expect(activated).toMatchObject({ code: 0, value: { previousIssuerId: 'devices', warnings: [] } });
  expect(await mintmark.json('issuers', 'retire', 'devices')).toMatchObject({ code: 1, value: { change: 'refused' } });
  await endEnvironments();
  const after = await enrol('after');
  expect([isOf(ca.root, after), isOf(localRoot, after)]).toEqual([true, false]);
  expect(await mintmark.json('certificates', 'show', '--device', 'after')).toMatchObject({
    value: { certificate: { issuerId: 'devices-2' } },
  });
  expect(await mintmark.json('issuers', 'list')).toMatchObject({
    code: 0,
    value: {
      issuers: [
        { issuerId: 'devices', profiles: [], breaker: { state: 'closed' } },
        { issuerId: 'devices-2', names: ['devices'], key: 'ec prime256v1', breaker: { state: 'closed' } },
      ],
    },
  });
  // The watch and check-signer take no name for an issuer.
  expect(await cloud.checkSigner()).toEqual(['closed', 'closed']);

  expect(await mintmark.json('issuers', 'activate', 'devices', '--name', 'devices')).toMatchObject({ code: 0 });
  await endEnvironments();
  expect(isOf(localRoot, await enrol('back'))).toBe(true);
});
