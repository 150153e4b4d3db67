import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MintmarkError } from '../../shared/errors.ts';
import { type Login, OpenIssuers } from '../../shared/issuance/open-issuers.ts';
import { FirstLogins } from '../../shared/ledger/first-logins.ts';
import type { Issuer, Issuers } from '../../shared/ledger/issuers.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { softwareSigner } from '../support/software-signer.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';

const start = Date.parse('2026-11-22T12:00:00Z');
const ca = makeIssuingCa({ notBefore: new Date(start - 1000), notAfter: new Date(start + 3.2e10) });

let store: Tables;
let logins: FirstLogins;
let rows = 0;
let issuerId: string;

beforeAll(async () => {
  store = await startTables();
});
afterAll(() => store?.close());
beforeEach(() => {
  logins = new FirstLogins(store.client, tables.issuers);
  rows += 1;
  issuerId = `devices-${rows}`;
});

describe('the first login with an envelope', () => {
  const begin = (at = start, envelope = 'aa') => logins.begin(issuerId, envelope, at);

  it("is one process's, of any that ask at the same moment", async () => {
    const turns = await Promise.all(Array.from({ length: 12 }, () => begin()));
    expect(turns.filter((turn) => turn === 'ours')).toHaveLength(1);
    expect(turns.filter((turn) => turn === 'others')).toHaveLength(11);
  });

  it('is of each issuer and each envelope by itself', async () => {
    expect(await begin()).toBe('ours');
    expect(await begin(start, 'bb')).toBe('ours');
    issuerId = `${issuerId}-other`;
    expect(await begin()).toBe('ours');
  });

  it("is another one's after 20 s without a word, and not before", async () => {
    expect(await begin()).toBe('ours');
    expect(await begin(start + 19_999)).toBe('others');
    expect(await begin(start + 20_000)).toBe('ours');
  });

  it.each(['proved', 'refused'] as const)('is over once it was %s', async (outcome) => {
    expect(await begin()).toBe('ours');
    await logins.end(issuerId, 'aa', outcome);
    expect(await begin(start + 1)).toBe(outcome);
    expect(await begin(start + 86_400_000)).toBe(outcome);
  });

  it('is for the next at once where nothing came of it', async () => {
    expect(await begin()).toBe('ours');
    await logins.end(issuerId, 'aa', 'nothing');
    expect(await begin(start + 1)).toBe('ours');
  });

  it('stays known, whoever learns nothing after that; and is right again when one that was refused is let in', async () => {
    await begin();
    await logins.end(issuerId, 'aa', 'refused');
    await logins.end(issuerId, 'aa', 'nothing');
    expect(await begin()).toBe('refused');
    await logins.end(issuerId, 'aa', 'proved');
    expect(await begin()).toBe('proved');
  });
});

describe('environments that start at the same moment', () => {
  /** What the HSM was sent, and from which; it takes a moment. */
  let attempts: { readonly environment: number; readonly login: Login }[];
  let answer: () => void;
  let clock: number;
  /** Of the environments' clock, which all of their waits together move. */
  let pace: number;
  let envelope: Uint8Array;

  beforeEach(() => {
    attempts = [];
    answer = () => undefined;
    clock = start;
    pace = 0.1;
    envelope = Uint8Array.of(1);
  });

  const environments = (count: number, hsm: () => Promise<void> = async () => undefined) =>
    Array.from({ length: count }, (_, environment) => {
      const read = async (): Promise<Issuer> => ({ ...ca.issuer, issuerId, sealedPins: { 'eu-west-1': envelope } });
      return new OpenIssuers({
        issuers: { read } as unknown as Issuers,
        openSigner: async (_issuer, _certificate, _deadline, login) => {
          attempts.push({ environment, login });
          await hsm();
          answer();
          return softwareSigner(ca.issuer.signerUri, ca.privateKey);
        },
        firstLogins: new FirstLogins(store.client, tables.issuers),
        now: () => clock,
        wait: async (milliseconds) => {
          clock += milliseconds * pace;
        },
      });
    });

  const openAll = (all: readonly OpenIssuers[]) =>
    Promise.allSettled(all.map((each) => each.open(issuerId, clock + 60_000)));
  const codesOf = (settled: readonly PromiseSettledResult<unknown>[]) =>
    settled.map((result) => (result.status === 'fulfilled' ? 'open' : (result.reason as MintmarkError).code));

  it('send a wrong PIN once, all of them together', async () => {
    answer = () => {
      throw new MintmarkError('SIGNER_PIN_REFUSED', 'wrong');
    };
    const all = environments(12);
    expect(new Set(codesOf(await openAll(all)))).toEqual(new Set(['SIGNER_PIN_REFUSED']));
    expect(attempts).toHaveLength(1);
    // Nor does one that comes later.
    expect(codesOf(await openAll(environments(1)))).toEqual(['SIGNER_PIN_REFUSED']);
    expect(attempts).toHaveLength(1);
    // Another envelope is another PIN.
    envelope = Uint8Array.of(2);
    answer = () => undefined;
    clock += 60_000;
    expect(new Set(codesOf(await openAll(all)))).toEqual(new Set(['open']));
  });

  it('log in each when one has, and that one by itself', async () => {
    expect(new Set(codesOf(await openAll(environments(12))))).toEqual(new Set(['open']));
    expect(attempts).toHaveLength(12);
    expect(attempts.filter(({ login }) => login === 'anew')).toHaveLength(1);
    expect(attempts[0]?.login).toBe('anew');
  });

  it('do not wait for one whose HSM did not answer', async () => {
    answer = () => {
      answer = () => undefined;
      throw new MintmarkError('SIGNER_UNAVAILABLE', 'away');
    };
    const codes = codesOf(await openAll(environments(3)));
    expect(codes.toSorted()).toEqual(['SIGNER_UNAVAILABLE', 'open', 'open']);
  });

  it('are told to come again where the first is at it for long', async () => {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const [first, second] = environments(2, () => {
      begin();
      return held;
    }) as [OpenIssuers, OpenIssuers];
    const opening = first.open(issuerId, clock + 60_000);
    await begun;
    pace = 1;
    expect(codesOf(await Promise.allSettled([second.open(issuerId, clock + 60_000)]))).toEqual(['SIGNER_UNAVAILABLE']);
    expect(attempts).toHaveLength(1);
    release();
    await opening;
    expect(codesOf(await Promise.allSettled([second.open(issuerId, clock + 60_000)]))).toEqual(['open']);
  });

  it('that run log in with a rotated PIN anew, the first of them alone at first', async () => {
    const all = environments(5);
    await openAll(all);
    attempts = [];
    envelope = Uint8Array.of(9);
    clock += 60_000;
    expect(new Set(codesOf(await openAll(all)))).toEqual(new Set(['open']));
    expect(attempts.map(({ login }) => login)).toEqual(Array.from({ length: 5 }, () => 'anew'));
  });
});
