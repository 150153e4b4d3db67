import { beforeEach, describe, expect, it } from 'vitest';
import type { Admission, Gate } from '../../shared/breaker/gate.ts';
import { asMintmarkError, MintmarkError } from '../../shared/errors.ts';
import { AdmittedIssuers } from '../../shared/issuance/admitted-issuers.ts';
import type { IssuerSource } from '../../shared/issuance/authority.ts';
import { type Login, OpenIssuers } from '../../shared/issuance/open-issuers.ts';
import type { Issuers } from '../../shared/ledger/issuers.ts';
import { provedLogins } from '../support/first-logins.ts';
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
let fails: MintmarkError | undefined;
let attempts: number;
let admissions: number;
let logins: Login[];
let state: 'active' | 'retired';
let rowsRead: number;
let sealedPin: number;
let toldOfNewerPin: string[];
let issuers: OpenIssuers;

/** A gate that lets everybody in, as it is told to, and writes down what it hears. */
const gate = (): Gate => {
  const listening: Pick<Gate, 'admit' | 'noteSigned' | 'noteError'> = {
    admit: async () => {
      admissions++;
      return admission;
    },
    noteSigned: () => noted.push('signed'),
    noteError: (_, error) => noted.push(asMintmarkError(error).code),
  };
  return listening as Gate;
};

beforeEach(() => {
  admission = { isProbe: false, sendsRefusedPinAgain: false, provesPin: false };
  noted = [];
  signer = softwareSigner(ca.issuer.signerUri, ca.privateKey);
  refuses = false;
  fails = undefined;
  attempts = 0;
  admissions = 0;
  logins = [];
  state = 'active';
  rowsRead = 0;
  sealedPin = 1;
  toldOfNewerPin = [];
  const read = async () => {
    rowsRead++;
    return { ...ca.issuer, state, sealedPins: { 'eu-west-1': Uint8Array.of(sealedPin) } };
  };
  issuers = new OpenIssuers({
    ...provedLogins,
    issuers: { read } as unknown as Issuers,
    openSigner: async (_issuer, _certificate, _deadline, login) => {
      attempts++;
      logins.push(login);
      if (fails !== undefined) throw fails;
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
    admission = { isProbe: true, sendsRefusedPinAgain: true, provesPin: false };
    const probe = batch();
    await refusedTo(probe);
    await refusedTo(probe);
    expect(attempts).toBe(2);
    await refusedTo(batch());
    expect(attempts).toBe(3);
  });

  it('that was repaired in the HSM, with the row as it was, is right for the probe and for whoever follows', async () => {
    refuses = false;
    admission = { isProbe: true, sendsRefusedPinAgain: true, provesPin: false };
    await batch().open('devices', deadline);
    admission = { isProbe: false, sendsRefusedPinAgain: false, provesPin: false };
    await batch().open('devices', deadline);
    expect(attempts).toBe(2);
  });

  it("is sent again by a process that did not probe, once another's probe has signed", async () => {
    refuses = false;
    admission = { isProbe: false, sendsRefusedPinAgain: true, provesPin: false };
    await batch().open('devices', deadline);
    expect(attempts).toBe(2);
  });
});

describe('a newer PIN in the row', () => {
  it('that is refused is told to the breaker, and this batch is signed with the older one', async () => {
    await batch().open('devices', deadline);
    sealedPin = 2;
    refuses = true;
    admission = { isProbe: true, sendsRefusedPinAgain: true, provesPin: false };
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
  admission = { isProbe: true, sendsRefusedPinAgain: true, provesPin: false };
  await batch().open('devices', deadline);
  expect(rowsRead).toBe(2);
});

it('a retired issuer is said to be retired, whatever its breaker is, and takes no probe', async () => {
  state = 'retired';
  for (const open of ['open', 'openNow'] as const)
    await expect(batch()[open]('devices', deadline)).rejects.toMatchObject({ code: 'ISSUER_NOT_ACTIVE' });
  expect(admissions).toBe(0);
});

describe('a PIN that a probe is to prove', () => {
  beforeEach(async () => {
    await batch().open('devices', deadline);
    admission = { isProbe: true, sendsRefusedPinAgain: true, provesPin: true };
  });

  it('takes a login of its own, also where a session stands, and one for the whole batch', async () => {
    const probe = batch();
    const [first, second] = await Promise.all([probe.open('devices', deadline), probe.openNow('devices', deadline)]);
    expect(second).toBe(first);
    expect(logins).toEqual(['standing', 'anew']);
    expect(signer.closed).toBe(true);
    await first.certify([tbsCertificate], deadline);
    expect(noted).toEqual(['signed']);
  });

  it('is tried once in a batch, and the session from before signs nothing when it is refused', async () => {
    refuses = true;
    const probe = batch();
    await refusedTo(probe);
    await refusedTo(probe);
    expect(logins).toEqual(['standing', 'anew']);
    expect(noted).toEqual(Array.from({ length: 4 }, () => 'SIGNER_PIN_REFUSED'));
    expect(toldOfNewerPin).toEqual([]);
    admission = { isProbe: false, sendsRefusedPinAgain: false, provesPin: false };
    await refusedTo(batch());
    expect(attempts).toBe(2);
  });

  it('is not passed over by the next request of the batch, where the login failed for another reason', async () => {
    fails = new MintmarkError('SIGNER_UNAVAILABLE', 'No HSM answers.');
    const probe = batch();
    await expect(probe.open('devices', deadline)).rejects.toMatchObject({ code: 'SIGNER_UNAVAILABLE' });
    fails = undefined;
    await expect(probe.openNow('devices', deadline)).rejects.toMatchObject({ code: 'SIGNER_UNAVAILABLE' });
    expect(logins).toEqual(['standing', 'anew']);
    await batch().open('devices', deadline);
    expect(logins).toEqual(['standing', 'anew', 'anew']);
  });
});
