import { constants, generateKeyPairSync, sign } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { MintmarkError } from '../../shared/errors.ts';
import { assembleCertificate } from '../../shared/issuance/certificate.ts';
import { readIssuerCertificate } from '../../shared/issuance/issuer-certificate.ts';
import { OpenIssuers } from '../../shared/issuance/open-issuers.ts';
import type { Issuer, Issuers } from '../../shared/ledger/issuers.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';
import { provedLogins } from '../support/first-logins.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { newLinted, tbsIssuer } from '../support/linted.ts';
import { deviceTls } from '../support/profile.ts';
import { type SoftwareSigner, softwareSigner } from '../support/software-signer.ts';

const start = Date.parse('2026-11-22T12:00:00Z');
const deadline = start + 10_000;
const ca = makeIssuingCa({ notBefore: new Date(start), notAfter: new Date(start + 1e11) });

let now: number;
let row: Issuer | undefined;
let reads: number;
let opened: SoftwareSigner[];
let failures: Error[];
let issuers: OpenIssuers;

beforeEach(() => {
  now = start;
  row = ca.issuer;
  reads = 0;
  opened = [];
  failures = [];
  const read = async () => {
    reads++;
    return row;
  };
  issuers = new OpenIssuers({
    ...provedLogins,
    issuers: { read } as unknown as Issuers,
    openSigner: async ({ signerUri }) => {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      const signer = softwareSigner(signerUri, ca.privateKey);
      opened.push(signer);
      return signer;
    },
    now: () => now,
  });
});

const open = () => issuers.open('devices', deadline);
const closed = (): boolean[] => opened.map((signer) => signer.closed);

describe('OpenIssuers', () => {
  it('opens a signer once for everyone who asks at the same time, and keeps it', async () => {
    const all = await Promise.all([open(), open(), open()]);
    expect(new Set(all).size).toBe(1);
    now += 3_600_000;
    expect(await open()).toBe(all[0]);
    expect(opened).toHaveLength(1);
    expect(all[0]?.tbsIssuer).toMatchObject({
      issuerId: 'devices',
      baseUrl: 'http://ca.example.com',
      crlShardCount: 16,
    });
  });

  it('makes a template of each profile once', async () => {
    const { templateOf } = await open();
    expect(templateOf(deviceTls)).toBe(templateOf({ ...deviceTls }));
    expect(templateOf({ ...deviceTls, hash: 'another' })).not.toBe(templateOf(deviceTls));
  });

  it('sees within a minute that an issuer was retired, and at once when asked to look', async () => {
    await open();
    row = { ...ca.issuer, state: 'retired' };
    now += 59_999;
    await open();
    await expect(issuers.openNow('devices', deadline)).rejects.toMatchObject({
      code: 'ISSUER_NOT_ACTIVE',
      message: 'The issuer devices is retired.',
    });
    row = ca.issuer;
    now += 60_000;
    await open();
    row = { ...ca.issuer, state: 'retired' };
    now += 60_000;
    await expect(open()).rejects.toMatchObject({ code: 'ISSUER_NOT_ACTIVE' });
  });

  it('looks again each time for an issuer that is not there', async () => {
    row = undefined;
    await expect(open()).rejects.toMatchObject({
      code: 'ISSUER_NOT_ACTIVE',
      message: 'The issuer devices is not in the issuers table.',
    });
    row = ca.issuer;
    await open();
    expect(reads).toBe(2);
  });

  it.each<readonly [string, Partial<Issuer>]>([
    ['the key', { signerUri: 'pkcs11:object=other' }],
    ['the sealed PIN', { sealedPins: { 'eu-west-1': Uint8Array.of(9) } }],
    ["a Region's sealed PIN", { sealedPins: { ...ca.issuer.sealedPins, 'eu-central-1': Uint8Array.of(9) } }],
  ])('opens anew when %s has changed, and closes the signer of before', async (_, change) => {
    const before = await open();
    row = { ...ca.issuer, ...change };
    now += 60_000;
    expect(await open()).not.toBe(before);
    await expect.poll(closed).toEqual([true, false]);
  });

  it.each(['PIN_UNSEAL_FAILED', 'SIGNER_MISCONFIGURED', 'SIGNER_UNAVAILABLE', 'SIGNER_DEADLINE'] as const)(
    'tries again after %s',
    async (code) => {
      failures.push(new MintmarkError(code, 'The signer could not be opened.'));
      await expect(Promise.all([open(), open()])).rejects.toMatchObject({ code });
      await open();
      expect(opened).toHaveLength(1);
    },
  );

  it('does not try a wrong PIN twice, until the row has another', async () => {
    failures.push(new MintmarkError('SIGNER_PIN_REFUSED', 'The PIN is wrong.'));
    await expect(open()).rejects.toMatchObject({ code: 'SIGNER_PIN_REFUSED' });
    await expect(open()).rejects.toMatchObject({ code: 'SIGNER_PIN_REFUSED' });
    await expect(issuers.openNow('devices', deadline)).rejects.toMatchObject({ code: 'SIGNER_PIN_REFUSED' });
    expect(opened).toEqual([]);
    row = { ...ca.issuer, sealedPins: { 'eu-west-1': Uint8Array.of(7) } };
    await issuers.openNow('devices', deadline);
    expect(opened).toHaveLength(1);
  });

  it('sends a refused PIN again when it is told to, once for all who ask meanwhile, and then not', async () => {
    const attempts = () => opened.length + refusals;
    let refusals = 0;
    const refuse = () => {
      failures.push(new MintmarkError('SIGNER_PIN_REFUSED', 'The PIN is wrong.'));
      refusals++;
    };
    refuse();
    await expect(open()).rejects.toMatchObject({ code: 'SIGNER_PIN_REFUSED' });
    refuse();
    const asked = await Promise.allSettled([
      issuers.openNow('devices', deadline, 'is-sent-again'),
      issuers.openNow('devices', deadline, 'stays-refused'),
      open(),
    ]);
    expect(asked.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(failures).toEqual([]);
    await expect(open()).rejects.toMatchObject({ code: 'SIGNER_PIN_REFUSED' });
    expect(attempts()).toBe(2);
    const repaired = await issuers.openNow('devices', deadline, 'is-sent-again');
    expect(await open()).toBe(repaired);
    expect(attempts()).toBe(3);
    // What is open stays open.
    expect(await issuers.openNow('devices', deadline, 'is-sent-again')).toBe(repaired);
  });

  describe('whose session was lost, and whose PIN was refused when it logged in again', () => {
    const refusal = () => ({ error: new MintmarkError('SIGNER_PIN_REFUSED', 'The PIN is wrong.') });
    const refuseToSign = (signer: SoftwareSigner | undefined) => {
      if (signer !== undefined) signer.sign = async (digests) => digests.map(refusal);
    };
    const { tbsCertificate } = newLinted();

    it('stays refused, and is opened anew when that may be sent again', async () => {
      const { certify } = await open();
      refuseToSign(opened[0]);
      const refused = [{ error: expect.objectContaining({ code: 'SIGNER_PIN_REFUSED' }) }];
      expect(await certify([tbsCertificate], deadline)).toEqual(refused);
      await expect.poll(closed).toEqual([true]);
      await expect(open()).rejects.toMatchObject({ code: 'SIGNER_PIN_REFUSED' });
      await expect(issuers.openNow('devices', deadline)).rejects.toMatchObject({ code: 'SIGNER_PIN_REFUSED' });
      // Who has had it since before asks the HSM no more either.
      if (opened[0] !== undefined) opened[0].sign = async () => expect.fail('It was closed.');
      expect(await certify([tbsCertificate], deadline)).toEqual(refused);
      expect(opened).toHaveLength(1);

      const repaired = await issuers.openNow('devices', deadline, 'is-sent-again');
      expect(await repaired.certify([tbsCertificate], deadline)).toEqual([{ certificate: expect.any(Uint8Array) }]);
      expect(opened).toHaveLength(2);
    });

    it('is opened anew with another PIN', async () => {
      const { certify } = await open();
      refuseToSign(opened[0]);
      await certify([tbsCertificate], deadline);
      row = { ...ca.issuer, sealedPins: { 'eu-west-1': Uint8Array.of(7) } };
      await open();
      expect(closed()).toEqual([true, false]);
    });

    it('is no longer the one to fall back on', async () => {
      const { certify } = await open();
      row = { ...ca.issuer, sealedPins: { 'eu-west-1': Uint8Array.of(7) } };
      failures.push(new MintmarkError('SIGNER_PIN_REFUSED', 'The new PIN is wrong too.'));
      await issuers.openNow('devices', deadline);
      refuseToSign(opened[0]);
      await certify([tbsCertificate], deadline);
      await expect(open()).rejects.toMatchObject({ message: 'The PIN is wrong.' });
      failures.push(new MintmarkError('SIGNER_PIN_REFUSED', 'The new PIN is still wrong.'));
      await expect(issuers.openNow('devices', deadline, 'is-sent-again')).rejects.toMatchObject({
        message: 'The new PIN is still wrong.',
      });
      expect(closed()).toEqual([true]);
    });
  });

  describe('whose row has another PIN that does not open it', () => {
    const rotated = { ...ca.issuer, sealedPins: { 'eu-west-1': Uint8Array.of(7) } };
    const refused = () => new MintmarkError('SIGNER_PIN_REFUSED', 'The PIN is wrong.');

    it('signs on with the one before, and sends the refused one once', async () => {
      const before = await open();
      row = rotated;
      failures.push(refused());
      const after = await issuers.openNow('devices', deadline);
      expect(after).toMatchObject({
        tbsIssuer: before.tbsIssuer,
        newerPinError: { code: 'SIGNER_PIN_REFUSED' },
      });
      expect(await open()).toBe(after);
      expect(await after.certify([newLinted().tbsCertificate], deadline)).toEqual([
        { certificate: expect.any(Uint8Array) },
      ]);
      expect(closed()).toEqual([false]);
      // Sent again, it is refused again, and still nothing is lost.
      failures.push(refused());
      expect(await issuers.openNow('devices', deadline, 'is-sent-again')).toHaveProperty('newerPinError');
      expect(closed()).toEqual([false]);
    });

    it('goes back without a login to the PIN that it has, when the row does', async () => {
      const before = await open();
      row = rotated;
      failures.push(refused());
      await issuers.openNow('devices', deadline);
      row = ca.issuer;
      expect(await issuers.openNow('devices', deadline)).toBe(before);
      expect(opened).toHaveLength(1);
    });

    it.each(['PIN_UNSEAL_FAILED', 'PIN_UNSEAL_REFUSED', 'SIGNER_MISCONFIGURED'] as const)(
      'signs on after %s, and tries again',
      async (code) => {
        const before = await open();
        row = rotated;
        failures.push(new MintmarkError(code, 'Not now.'));
        const meanwhile = await issuers.openNow('devices', deadline);
        expect(meanwhile).toMatchObject({ tbsIssuer: before.tbsIssuer, newerPinError: { code } });
        const after = await open();
        expect(after).not.toHaveProperty('newerPinError');
        expect(closed()).toEqual([true, false]);
      },
    );

    it('does not sign as a CA that the row has no more', async () => {
      await open();
      row = { ...rotated, signerUri: 'pkcs11:object=other' };
      failures.push(new MintmarkError('SIGNER_MISCONFIGURED', 'There is no such key.'));
      await expect(issuers.openNow('devices', deadline)).rejects.toMatchObject({ code: 'SIGNER_MISCONFIGURED' });
      await expect.poll(closed).toEqual([true]);
    });
  });

  it('closes what is open, and nothing else', async () => {
    await open();
    await issuers.close();
    await issuers.close();
    expect(closed()).toEqual([true]);
  });

  it('says which issuer has a certificate that cannot be used', async () => {
    row = { ...ca.issuer, certificate: ca.issuer.certificate.subarray(0, 100) };
    await expect(open()).rejects.toMatchObject({
      code: 'CONFIGURATION_INVALID',
      message: expect.stringContaining('issuer devices'),
    });
  });
});

/** The issuing CA's certificate with some of its octets replaced, in hex; its signature is wrong then. */
function edited(from: string, to: string): Buffer {
  const hex = Buffer.from(ca.issuer.certificate).toString('hex');
  expect(hex.split(from)).toHaveLength(2);
  return Buffer.from(hex.replace(from, to), 'hex');
}

function assembleDeviceCertificate(): Uint8Array {
  const { scheme } = tbsIssuer;
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const { tbsCertificate } = newLinted();
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  return assembleCertificate(
    tbsCertificate,
    sign(scheme.hash, tbsCertificate, { key: privateKey, ...padding }),
    scheme,
    publicKey,
  );
}

describe('readIssuerCertificate', () => {
  it('reads a CA certificate', () => {
    const read = readIssuerCertificate('devices', ca.issuer.certificate);
    expect(read).toMatchObject({ notBefore: start, notAfter: start + 1e11 });
    expect(read.subjectKeyIdentifier).toHaveLength(20);
  });

  it.each([
    ['the certificate of a device', 'it is not a CA certificate', assembleDeviceCertificate()],
    ['a CA that may sign no certificates', 'it is not a CA certificate', edited('03020106', '03020102')],
    ['a CA without a subjectKeyIdentifier', 'it has no subjectKeyIdentifier', edited('0603551d0e', '0603551d0d')],
    ['a CA without a keyUsage', 'keyUsage', edited('0603551d0f', '0603551d0d')],
    ['text', 'cannot be used', Buffer.from('text')],
    ['nothing', 'cannot be used', Buffer.alloc(0)],
  ])('refuses %s', (_, reason, der) => {
    const { code, message } = refusalOf(() => readIssuerCertificate('devices', der));
    expect(code).toBe('CONFIGURATION_INVALID');
    expect(message).toContain(reason);
  });
});
