import { beforeEach, describe, expect, it } from 'vitest';
import type { Admission, Gate } from '../../shared/breaker/gate.ts';
import { asMintmarkError, MintmarkError } from '../../shared/errors.ts';
import { AdmittedIssuers } from '../../shared/issuance/admitted-issuers.ts';
import type { IssuerSource } from '../../shared/issuance/authority.ts';
import { OpenIssuers } from '../../shared/issuance/open-issuers.ts';
import type { Issuers } from '../../shared/ledger/issuers.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { newLinted } from '../support/linted.ts';
import { type SoftwareSigner, softwareSigner } from '../support/software-signer.ts';

const start = Date.parse('2026-11-22T12:00:00Z');
const deadline = start + 10_000;
const ca = makeIssuingCa({ notBefore: new Date(start), notAfter: new Date(start + 1e11) });
const { tbsCertificate } = newLinted();

let admission: Admission;
let noted: string[];
let signer: SoftwareSigner;
let refuses: boolean;
let attempts: number;
let rowsRead: number;
let sealedPin: number;
let toldOfNewerPin: string[];
let issuers: OpenIssuers;

/** A gate that lets everybody in, as it is told to, and writes down what it hears. */
const gate = (): Gate => {
  const listening: Pick<Gate, 'admit' | 'noteSigned' | 'noteError'> = {
    admit: async () => admission,
    noteSigned: () => noted.push('signed'),
    noteError: (_, error) => noted.push(asMintmarkError(error).code),
  };
  return listening as Gate;
};

beforeEach(() => {
  admission = { isProbe: false, sendsRefusedPinAgain: false };
  noted = [];
  signer = softwareSigner(ca.issuer.signerUri, ca.privateKey);
  refuses = false;
  attempts = 0;
  rowsRead = 0;
  sealedPin = 1;
  toldOfNewerPin = [];
  const read = async () => {
    rowsRead++;
    return { ...ca.issuer, sealedPins: { 'eu-west-1': Uint8Array.of(sealedPin) } };
  };
  issuers = new OpenIssuers({
    issuers: { read } as unknown as Issuers,
    openSigner: async () => {
      attempts++;
      if (refuses) throw new MintmarkError('SIGNER_PIN_REFUSED', 'The PIN is wrong.');
      return signer;
    },
    now: () => start,
  });
});

const batch = (): IssuerSource =>
  new AdmittedIssuers(issuers, gate(), (issuerId, { code }) => toldOfNewerPin.push(`${issuerId} ${code}`));
const refusedTo = (source: IssuerSource) =>
  Promise.all(
    [source.open('devices', deadline), source.openNow('devices', deadline)].map((opening) =>
      expect(opening).rejects.toMatchObject({ code: 'SIGNER_PIN_REFUSED' }),
    ),
  );

describe('what the breaker hears of a batch', () => {
  it('is a certificate whose signature verifies, and what there is instead of one', async () => {
    const { certify } = await batch().open('devices', deadline);
    signer.faults.push('corrupt', 'unavailable');
    const certified = await certify([tbsCertificate, tbsCertificate, tbsCertificate], deadline);
    expect(certified.map((one) => ('error' in one ? asMintmarkError(one.error).code : 'certificate'))).toEqual([
      'SIGNATURE_WRONG',
      'SIGNER_UNAVAILABLE',
      'certificate',
    ]);
    expect(noted).toEqual(['SIGNATURE_WRONG', 'SIGNER_UNAVAILABLE', 'signed']);
  });

  it('is no success where the HSM answers with wrong signatures alone', async () => {
    const { certify } = await batch().openNow('devices', deadline);
    signer.faults.push('corrupt', 'corrupt');
    await certify([tbsCertificate, tbsCertificate], deadline);
    expect(noted).toEqual(['SIGNATURE_WRONG', 'SIGNATURE_WRONG']);
  });

  it('is that too few answers came', async () => {
    const { certify } = await batch().open('devices', deadline);
    signer.sign = async () => [];
    expect(await certify([tbsCertificate], deadline)).toEqual([
      { error: expect.objectContaining({ code: 'INTERNAL', message: 'The signer answered with too few signatures.' }) },
    ]);
  });

  it.each(['SIGNER_UNAVAILABLE', 'SIGNER_PIN_REFUSED'] as const)('is what a signer throws: %s', async (code) => {
    const { certify } = await batch().open('devices', deadline);
    signer.sign = () => Promise.reject(new MintmarkError(code, 'Thrown.'));
    await expect(certify([tbsCertificate], deadline)).rejects.toMatchObject({ code });
    expect(noted).toEqual([code]);
  });

  it('is asked of by one issuer for all who open it, so that they are signed together', async () => {
    const source = batch();
    expect(await source.open('devices', deadline)).toBe(await source.openNow('devices', deadline));
  });
});

describe('a refused PIN', () => {
  beforeEach(async () => {
    refuses = true;
    await refusedTo(batch());
    noted = [];
  });

  it('is not sent again by an ordinary batch', async () => {
    refuses = false;
    await refusedTo(batch());
    expect(attempts).toBe(1);
    expect(noted).toEqual(['SIGNER_PIN_REFUSED', 'SIGNER_PIN_REFUSED']);
  });

  it('is sent once by a probe, however many requests it holds and whenever they ask', async () => {
    admission = { isProbe: true, sendsRefusedPinAgain: true };
    const probe = batch();
    await refusedTo(probe);
    await refusedTo(probe);
    expect(attempts).toBe(2);
    await refusedTo(batch());
    expect(attempts).toBe(3);
  });

  it('that was repaired in the HSM, with the row as it was, is right for the probe and for whoever follows', async () => {
    refuses = false;
    admission = { isProbe: true, sendsRefusedPinAgain: true };
    await batch().open('devices', deadline);
    admission = { isProbe: false, sendsRefusedPinAgain: false };
    await batch().open('devices', deadline);
    expect(attempts).toBe(2);
  });

  it("is sent again by a process that did not probe, once another's probe has signed", async () => {
    refuses = false;
    admission = { isProbe: false, sendsRefusedPinAgain: true };
    await batch().open('devices', deadline);
    expect(attempts).toBe(2);
  });
});

describe('a newer PIN in the row', () => {
  it('that is refused is told to the breaker, and this batch is signed with the older one', async () => {
    await batch().open('devices', deadline);
    sealedPin = 2;
    refuses = true;
    admission = { isProbe: true, sendsRefusedPinAgain: true };
    const probe = batch();
    const [first, second] = [await probe.open('devices', deadline), await probe.openNow('devices', deadline)];
    expect(second).toBe(first);
    expect(await first.certify([tbsCertificate], deadline)).toEqual([{ certificate: expect.any(Uint8Array) }]);
    expect(noted).toEqual(['SIGNER_PIN_REFUSED', 'signed']);
    expect(toldOfNewerPin).toEqual(['devices SIGNER_PIN_REFUSED']);
    expect(attempts).toBe(2);
  });
});

it('a probe looks at the row past the cache, an ordinary batch does not', async () => {
  await batch().open('devices', deadline);
  await batch().open('devices', deadline);
  expect(rowsRead).toBe(1);
  admission = { isProbe: true, sendsRefusedPinAgain: true };
  await batch().open('devices', deadline);
  expect(rowsRead).toBe(2);
});
