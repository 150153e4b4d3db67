import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command } from '../../cli/commands/queue-resume.ts';
import type { Session } from '../../cli/session.ts';
import { targetOf } from '../../cli/target.ts';
import { Breakers } from '../../shared/breaker/breakers.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { updates, wrapClient } from '../support/wrapped-client.ts';

/**
 * `mintmark queue resume` where several issuers log in as one crypto user, whom the HSM locks out after five wrong logins
 * in all (AWS CloudHSM User Guide, "login" of CloudHSM CLI).
 */

const now = Date.parse('2026-11-22T12:00:00Z');
const validity = { notBefore: new Date(now - 86_400_000), notAfter: new Date(now + 1e11) };
const refused = { reason: 'SIGNER_PIN_REFUSED', detail: 'CKR_PIN_INCORRECT' } as const;

let store: Tables;
let breakers: Breakers;

beforeAll(async () => {
  store = await startTables();
  breakers = new Breakers(store.client, tables.issuers);
  const issuers = new Issuers(store.client, tables.issuers);
  for (const [issuerId, clusterId] of [
    ['c', 'cluster-one'],
    ['a', 'cluster-one'],
    ['b', 'cluster-one'],
    ['d', 'cluster-two'],
    ['e', 'cluster-two'],
  ] as const) {
    await issuers.add({ ...makeIssuingCa({ issuerId, ...validity }).issuer, clusterId });
  }
});
afterAll(() => store.close());

async function resume(issuer?: string, client = store.client) {
  const session = {
    target: () => targetOf({ stage: 'test', prefix: 'test' }, {}),
    clients: { dynamoDB: async () => client, lambda: async () => ({ send: async () => ({}) }) },
    note: (line: string) => expect.unreachable(line),
    interrupted: new AbortController().signal,
    now: () => now,
  } as unknown as Session;
  const result = await command.run(session, issuer === undefined ? {} : { issuer }, []);
  if ('written' in result) return expect.unreachable('It writes as it goes.');
  return { exitCode: result.exitCode, text: result.lines.join('\n'), json: result.json };
}

const hold = async (...ids: readonly string[]) => {
  for (const id of ids) await breakers.hold(await breakers.read(id), refused, now);
};

async function statesOf(...ids: readonly string[]): Promise<string[]> {
  const records = await Promise.all(ids.map((id) => breakers.read(id)));
  return records.map(({ issuerId, state, held }) => `${issuerId} ${held ? 'held' : state}`);
}

describe('a resume after refused PINs', () => {
  it('tries one issuer of a cluster, and the next ones when that one has signed', async () => {
    await hold('a', 'b', 'c', 'd');
    const first = await resume();
    expect(await statesOf('a', 'b', 'c', 'd', 'e')).toEqual([
      'a half-open',
      'b held',
      'c held',
      'd half-open',
      'e closed',
    ]);
    expect(first.exitCode).toBe(1);
    expect(first.json).toMatchObject({
      keptBack: [
        { issuerId: 'b', waitsFor: 'a' },
        { issuerId: 'c', waitsFor: 'a' },
      ],
      breakers: [
        { issuerId: 'a', changed: true },
        { issuerId: 'b', changed: false, held: true, pinDoubtful: true },
        { issuerId: 'c', changed: false },
        { issuerId: 'd', changed: true },
        { issuerId: 'e', changed: false },
      ],
    });
    expect(first.text).toContain('When a has signed: mintmark queue resume.');
    expect(first.text).toContain('mintmark queue resume --issuer c.');

    const early = await resume();
    expect(await statesOf('a', 'b', 'c')).toEqual(['a half-open', 'b held', 'c held']);
    expect(early.exitCode).toBe(1);

    await breakers.close(await breakers.read('a'), now);
    expect((await resume()).json).toMatchObject({ keptBack: [{ issuerId: 'c', waitsFor: 'b' }] });
    expect(await statesOf('a', 'b', 'c')).toEqual(['a closed', 'b half-open', 'c held']);

    expect(await resume('c')).toMatchObject({ exitCode: 0, json: { keptBack: [] } });
    expect(await statesOf('c')).toEqual(['c half-open']);
  });

  it('tries none whose PIN is refused while it runs', async () => {
    await breakers.hold(await breakers.read('e'), { reason: 'OPERATOR', detail: 'New HSMs.' }, now);
    const wrapped = wrapClient(store.newClient());
    wrapped.before(updates(tables.issuers), async () => {
      await breakers.doubt(await breakers.read('e'), refused, now);
    });
    const { exitCode, json, text } = await resume('e', wrapped.client);
    expect(exitCode).toBe(1);
    expect(json).toMatchObject({ keptBack: [{ issuerId: 'e', waitsFor: null }], breakers: [{ pinDoubtful: true }] });
    expect(text).toContain('e was left as it is: its PIN was refused just now.');
    expect(await statesOf('e')).toEqual(['e held']);
  });
});
