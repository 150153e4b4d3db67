import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Breakers } from '../../shared/breaker/breakers.ts';
import { Gatekeeper } from '../../shared/breaker/gate.ts';
import { asMintmarkError, MintmarkError } from '../../shared/errors.ts';
import { AdmittedIssuers } from '../../shared/issuance/admitted-issuers.ts';
import { OpenIssuers } from '../../shared/issuance/open-issuers.ts';
import type { Issuers } from '../../shared/ledger/issuers.ts';
import { provedLogins } from '../support/first-logins.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { newLinted } from '../support/linted.ts';
import { softwareSigner } from '../support/software-signer.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';

/**
 * Several execution environments and one crypto user, whose password somebody changed in the HSM: how often the HSM hears a
 * wrong one. CloudHSM locks a user out at more than five (AWS CloudHSM User Guide, "login" of CloudHSM CLI).
 */

const start = Date.parse('2026-11-22T12:00:00Z');
const deadline = start + 10_000;
const ca = makeIssuingCa({ notBefore: new Date(start - 86_400_000), notAfter: new Date(start + 1e11) });
const { tbsCertificate } = newLinted();
const refused = () => new MintmarkError('SIGNER_PIN_REFUSED', 'CKR_PIN_INCORRECT');

let store: Tables;
let breakers: Breakers;
let issuerId: string;
let issuerCount = 0;
let batchCount = 0;
let takesPin: boolean;
let rightLogins: number;
let wrongLogins: number;

beforeAll(async () => {
  store = await startTables();
  breakers = new Breakers(store.client, tables.issuers);
});
afterAll(() => store.close());
beforeEach(() => {
  issuerId = `doubtful-${++issuerCount}`;
  takesPin = true;
  rightLogins = 0;
  wrongLogins = 0;
});

const read = () => breakers.read(issuerId);

function logIn(): void {
  if (takesPin) rightLogins++;
  else {
    wrongLogins++;
    throw refused();
  }
}

interface Environment {
  /** The HSM forgets the session: the next signature logs in again. */
  lose(): void;
  /** One batch of one request: `signed`, or the code of why it was not. */
  batch(): Promise<string>;
}

function startEnvironment(): Environment {
  const gatekeeper = new Gatekeeper({
    breakers: new Breakers(store.newClient(), tables.issuers),
    pausedSeconds: 60,
    checkSignerSeconds: 60,
    now: () => start,
    onError: (error) => {
      throw error;
    },
  });
  let isLost = false;
  let isLoggedIn = false;
  const issuers = new OpenIssuers({
    ...provedLogins,
    issuers: { read: async () => ({ ...ca.issuer, issuerId }) } as unknown as Issuers,
    openSigner: async (_issuer, _certificate, _deadline, login) => {
      // A login is the process's (PKCS#11 v2.40, C_Login): a second session needs none, and then no PIN is asked for.
      if (login === 'anew' || !isLoggedIn) logIn();
      isLoggedIn = true;
      const signer = softwareSigner(ca.issuer.signerUri, ca.privateKey);
      const sign = signer.sign.bind(signer);
      signer.sign = async (digests, until) => {
        try {
          if (isLost) logIn();
          isLost = false;
        } catch (error) {
          return digests.map(() => ({ error: asMintmarkError(error) }));
        }
        return sign(digests, until);
      };
      return signer;
    },
    now: () => start,
  });
  return {
    lose: () => {
      isLost = true;
      isLoggedIn = false;
    },
    batch: async () => {
      const gate = gatekeeper.newGate(`batch-${++batchCount}`);
      try {
        const { certify } = await new AdmittedIssuers(issuers, gate, () => undefined).open(issuerId, deadline);
        const [one] = await certify([tbsCertificate], deadline);
        return one !== undefined && 'certificate' in one ? 'signed' : asMintmarkError(one?.error).code;
      } catch (error) {
        return asMintmarkError(error).code;
      } finally {
        await gate.report();
      }
    },
  };
}

/** Environments that have signed, the first of which then heard that its PIN is wrong. */
async function refusedFleet(size: number) {
  const fleet = Array.from({ length: size }, startEnvironment);
  for (const environment of fleet) expect(await environment.batch()).toBe('signed');
  takesPin = false;
  const [first, ...others] = fleet;
  first?.lose();
  expect(await first?.batch()).toBe('SIGNER_PIN_REFUSED');
  expect(wrongLogins).toBe(1);
  expect(await read()).toMatchObject({ held: true, isPinDoubtful: true });
  return { first: first as Environment, others };
}

describe('a PIN in doubt', () => {
  it('is not proved by an old session: resumed too early, it is sent once, whoever tries', async () => {
    const { others } = await refusedFleet(7);
    const [keeps, ...losers] = others;
    for (const environment of losers) environment.lose();
    await breakers.resume(await read(), 1, start);
    expect(await keeps?.batch()).toBe('SIGNER_PIN_REFUSED');
    expect(wrongLogins).toBe(2);
    for (const environment of [...others, startEnvironment()]) expect(await environment.batch()).toBe('SIGNER_PAUSED');
    expect(wrongLogins).toBe(2);
    expect(await read()).toMatchObject({ state: 'open', held: true, isPinDoubtful: true });
  });

  it('is proved by a login of the one that tries; then everybody signs, cold or not', async () => {
    const { first, others } = await refusedFleet(3);
    takesPin = true;
    await breakers.resume(await read(), 1, start);
    rightLogins = 0;
    expect(await others[0]?.batch()).toBe('signed');
    expect(rightLogins).toBe(1);
    expect(await read()).toMatchObject({ state: 'closed' });
    expect(await read()).not.toHaveProperty('isPinDoubtful');
    for (const environment of [first, ...others, startEnvironment()]) expect(await environment.batch()).toBe('signed');
    expect(wrongLogins).toBe(1);
  });

  it('stays so while an operator pauses and resumes for another reason', async () => {
    const { others } = await refusedFleet(2);
    await breakers.resume(await read(), 1, start);
    await breakers.hold(await read(), { reason: 'OPERATOR', detail: 'New HSMs.' }, start);
    await breakers.resume(await read(), 1, start);
    expect(await others[0]?.batch()).toBe('SIGNER_PIN_REFUSED');
    expect(wrongLogins).toBe(2);
  });
});
