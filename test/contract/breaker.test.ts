import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Breakers } from '../../shared/breaker/breakers.ts';
import { stepFor } from '../../shared/breaker/decide.ts';
import { failuresToOpen, Gatekeeper } from '../../shared/breaker/gate.ts';
import { SignerPausedError } from '../../shared/breaker/paused.ts';
import type { BreakerRecord, BreakerTransition } from '../../shared/breaker/record.ts';
import { absentRecord, breakerKey, effects, transitions } from '../../shared/breaker/record.ts';
import { breakerTimes } from '../../shared/breaker/times.ts';
import { MintmarkError } from '../../shared/errors.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { updates, type WrappedClient, wrapClient } from '../support/wrapped-client.ts';

/** The breaker's record on a DynamoDB emulator: what may become of what, and who wins when several want to. */

const start = Date.parse('2026-11-22T12:00:00Z');
const why = { reason: 'SIGNER_UNAVAILABLE', detail: 'The HSM is away.' } as const;

let store: Tables;
let breakers: Breakers;
let now: number;
let count = 0;
let issuerId: string;

beforeAll(async () => {
  store = await startTables();
  breakers = new Breakers(store.client, tables.issuers);
});
afterAll(() => store.close());
beforeEach(() => {
  now = start;
  issuerId = `issuer-${++count}`;
});

const read = (): Promise<BreakerRecord> => breakers.read(issuerId);

type Situation =
  | 'absent'
  | 'closed'
  | 'closed, failed enough'
  | 'closed, unseal failed enough'
  | 'open'
  | 'held'
  | 'half-open'
  | 'half-open, no probes';

/** Brings the issuer's record there by the ways that there are. */
async function bring(situation: Situation): Promise<BreakerRecord> {
  if (situation === 'absent') return read();
  if (situation === 'closed, unseal failed enough') {
    for (let batch = 0; batch < failuresToOpen; batch++)
      await breakers.countUnsealFailure(await read(), `batch-${batch}`, now);
    return read();
  }
  if (situation.startsWith('closed')) {
    const failed = situation === 'closed' ? 1 : failuresToOpen;
    for (let batch = 0; batch < failed; batch++) await breakers.countFailure(await read(), `batch-${batch}`);
    return read();
  }
  await breakers.hold(await read(), why, now);
  if (situation === 'held') return read();
  await breakers.resume(await read(), 1, now);
  if (situation === 'open') await breakers.open(await read(), why, failuresToOpen, now);
  if (situation === 'half-open, no probes') await breakers.takeProbe(await read(), now);
  return read();
}

const attempts: Readonly<Record<BreakerTransition, (record: BreakerRecord) => Promise<BreakerRecord | undefined>>> = {
  countFailure: (record) => breakers.countFailure(record, 'another-batch'),
  countUnsealFailure: (record) => breakers.countUnsealFailure(record, 'another-batch', now),
  forgetFailures: (record) => breakers.forgetFailures(record),
  openUnsealed: (record) => breakers.openUnsealed(record, why, failuresToOpen, now),
  doubt: (record) => breakers.doubt(record, why, now),
  open: (record) => breakers.open(record, why, failuresToOpen, now),
  hold: (record) => breakers.hold(record, why, now),
  halfOpen: (record) => breakers.halfOpen(record, 3, now),
  resume: (record) => breakers.resume(record, 3, now),
  takeProbe: (record) => breakers.takeProbe(record, now),
  probeUnaided: (record) => breakers.probeUnaided(record, now),
  giveProbes: (record) => breakers.giveProbes(record, 3),
  close: (record) => breakers.close(record, now),
};

const closedOnes = ['closed', 'closed, failed enough', 'closed, unseal failed enough'] as const;

const legal: Readonly<Record<BreakerTransition, readonly Situation[]>> = {
  countFailure: ['absent', ...closedOnes],
  countUnsealFailure: ['absent', ...closedOnes],
  forgetFailures: closedOnes,
  open: ['closed, failed enough', 'half-open', 'half-open, no probes'],
  openUnsealed: ['closed, unseal failed enough'],
  hold: ['absent', ...closedOnes, 'open', 'half-open', 'half-open, no probes'],
  doubt: ['held'],
  halfOpen: ['open'],
  resume: ['open', 'held'],
  takeProbe: ['half-open'],
  probeUnaided: ['open', 'half-open, no probes'],
  giveProbes: ['half-open, no probes'],
  close: ['half-open', 'half-open, no probes'],
};
const situations: readonly Situation[] = ['absent', ...closedOnes, 'open', 'held', 'half-open', 'half-open, no probes'];
const names = Object.keys(transitions) as BreakerTransition[];

describe('what may become of a breaker', () => {
  it.each(names.flatMap((name) => situations.map((situation) => ({ name, situation }))))(
    '$name of one that is $situation',
    async ({ name, situation }) => {
      const before = await bring(situation);
      const after = await attempts[name](before);
      const stored = await read();
      if (!legal[name].includes(situation)) {
        expect(after).toBeUndefined();
        expect(stored).toEqual(before);
        return;
      }
      expect(stored).toEqual(after);
      expect(stored.state).toBe(transitions[name].to);
    },
  );

  it.each(names.filter((name) => effects[name].set?.includes('revision = :next') === true))(
    '%s is written down as a change to be told, and counts as one',
    async (name) => {
      const situation = legal[name][0] ?? 'absent';
      const before = await bring(situation);
      now += 5_000;
      const after = await attempts[name](before);
      // Who hears of a refused PIN has not opened it.
      expect(after).toMatchObject({ revision: before.revision + 1, since: name === 'doubt' ? before.since : now });
      expect(after?.untold.slice(before.untold.length)).toEqual([
        expect.objectContaining({
          from: before.state,
          to: transitions[name].to,
          held: name === 'hold' || name === 'doubt',
          revision: before.revision + 1,
          at: now,
          reason: 'SIGNER_UNAVAILABLE',
        }),
      ]);
    },
  );

  it('a change that was decided on an older record is none', async () => {
    const old = await bring('half-open');
    await breakers.open(old, why, failuresToOpen, now);
    await breakers.halfOpen(await read(), 3, now);
    const present = await read();
    for (const name of names) expect(await attempts[name](old), name).toBeUndefined();
    expect(await read()).toEqual(present);
  });

  it('keeps when it was last closed through every try, and forgets it with the reason when it closes', async () => {
    await breakers.hold(await read(), why, now);
    for (let minute = 0; minute < 3; minute++) {
      now += 60_000;
      await breakers.resume(await read(), 1, now);
      await breakers.open(await read(), why, failuresToOpen, now);
    }
    expect(await read()).toMatchObject({ state: 'open', openedAt: start, since: now, ...why });
    await breakers.halfOpen(await read(), 1, now);
    const closed = await breakers.close(await read(), now);
    expect(closed).toMatchObject({ state: 'closed', failures: 0, held: false });
    for (const name of ['openedAt', 'reason', 'detail', 'triedBy', 'probedAt']) expect(closed).not.toHaveProperty(name);
  });

  it('what was told goes off the record, and what came meanwhile stays', async () => {
    const before = await bring('half-open');
    await breakers.close(before, now);
    for (const event of [...before.untold, ...before.untold]) await breakers.told(before, event);
    expect((await read()).untold.map(({ to }) => to)).toEqual(['closed']);
  });

  it('keeps the newest changes where nobody tells them, and goes on changing', async () => {
    await bring('open');
    for (let round = 0; round < 15; round++) {
      expect(await breakers.halfOpen(await read(), 1, now)).toBeDefined();
      expect(await breakers.open(await read(), { reason: 'SIGNER_DEADLINE', detail: 'Again.' }, 0, now)).toBeDefined();
    }
    const { untold, revision } = await read();
    expect(untold.map((event) => event.revision)).toEqual(
      Array.from({ length: 20 }, (_, index) => revision - 19 + index),
    );
  });

  it('cuts a detail, whatever it is', async () => {
    await breakers.hold(await read(), { reason: 'OPERATOR', detail: 'x'.repeat(10_000) }, now);
    expect((await read()).detail).toHaveLength(500);
  });
});

describe('several workers', () => {
  const unavailable = new MintmarkError('SIGNER_UNAVAILABLE', 'The HSM is away.');
  const refused = new MintmarkError('SIGNER_PIN_REFUSED', 'CKR_PIN_INCORRECT');

  interface Worker {
    readonly gatekeeper: Gatekeeper;
    readonly dynamoDB: WrappedClient;
    readonly errors: MintmarkError[];
  }

  function newWorker(): Worker {
    const dynamoDB = wrapClient(store.newClient());
    const errors: MintmarkError[] = [];
    const gatekeeper = new Gatekeeper({
      breakers: new Breakers(dynamoDB.client, tables.issuers),
      pausedSeconds: 60,
      checkSignerSeconds: 60,
      now: () => now,
      onError: (error) => errors.push(error),
    });
    return { gatekeeper, dynamoDB, errors };
  }

  let batches = 0;
  const newGate = ({ gatekeeper }: Worker = newWorker()) => gatekeeper.newGate(`batch-${++batches}`);

  async function batchThat(end: 'signs' | MintmarkError, worker = newWorker()) {
    const gate = newGate(worker);
    await gate.admit(issuerId);
    if (end === 'signs') gate.noteSigned(issuerId);
    else gate.noteError(issuerId, end);
    return gate.report();
  }

  it('one read and no write while all is well, for a batch of any size', async () => {
    const worker = newWorker();
    const gate = newGate(worker);
    await Promise.all(Array.from({ length: 10 }, () => gate.admit(issuerId)));
    gate.noteSigned(issuerId);
    expect(await gate.report()).toEqual([]);
    expect(worker.dynamoDB.commands.map(({ constructor: { name } }) => name)).toEqual(['GetItemCommand']);
  });

  it.each(['SIGNER_UNAVAILABLE', 'SIGNER_DEADLINE', 'SIGNATURE_WRONG'] as const)(
    'opens after three batches in a row that have %s, of whichever workers',
    async (code) => {
      const error = new MintmarkError(code, 'No signature that is one.');
      expect(await batchThat(error)).toEqual([]);
      expect(await batchThat(error)).toEqual([]);
      const [change] = await batchThat(error);
      expect(change?.to).toMatchObject({ state: 'open', held: false, reason: code, openedAt: now });
      await expect(batchThat('signs')).rejects.toMatchObject({ code: 'SIGNER_PAUSED', wait: { least: 60, most: 300 } });
    },
  );

  it('counts a batch once, whose report the client sent twice because the first reply was lost', async () => {
    const worker = newWorker();
    worker.dynamoDB.before(updates(tables.issuers), () => breakers.countFailure(absentRecord(issuerId), 'once'));
    const gate = worker.gatekeeper.newGate('once');
    await gate.admit(issuerId);
    gate.noteError(issuerId, unavailable);
    expect(await gate.report()).toEqual([]);
    expect(await read()).toMatchObject({ state: 'closed', failures: 1 });
  });

  describe('a PIN that cannot be unsealed', () => {
    const sealed = new MintmarkError('PIN_UNSEAL_FAILED', 'KMS does not answer.');
    const patience = 2 * 60_000;

    it('opens the breaker when nobody has signed for two looks: the whole fleet started cold in an outage', async () => {
      for (let batch = 0; batch < 5; batch++) expect(await batchThat(sealed)).toEqual([]);
      now += patience - 1;
      expect(await batchThat(sealed)).toEqual([]);
      now += 1;
      const [change] = await batchThat(sealed);
      expect(change?.to).toMatchObject({ state: 'open', held: false, reason: 'PIN_UNSEAL_FAILED', unsealFailures: 0 });
      await expect(batchThat(sealed)).rejects.toMatchObject({ code: 'SIGNER_PAUSED', wait: { least: 60, most: 300 } });
    });

    it('opens nothing while an environment that has its PIN signs on', async () => {
      for (let round = 0; round < 5; round++) {
        for (let batch = 0; batch < 3; batch++) expect(await batchThat(sealed)).toEqual([]);
        now += patience - 1;
        await batchThat('signs');
        expect(await read()).toMatchObject({ state: 'closed', unsealFailures: 0 });
      }
      expect(await batchThat(sealed)).toEqual([]);
      now += 10 * patience;
      // Long enough, and too few.
      expect(await batchThat(sealed)).toEqual([]);
      expect(await read()).toMatchObject({ state: 'closed', unsealFailures: 2, revision: 0 });
    });

    it('does not open one whose count was forgotten, and begun again, since it was read', async () => {
      for (let batch = 0; batch < 3; batch++) await batchThat(sealed);
      now += patience;
      const worker = newWorker();
      worker.dynamoDB.before(updates(tables.issuers, 'open'), async () => {
        await batchThat('signs');
        for (let batch = 0; batch < 3; batch++) await batchThat(sealed);
      });
      expect(await batchThat(sealed, worker)).toEqual([]);
      expect(await read()).toMatchObject({ state: 'closed', unsealFailures: 3, unsealFailingSince: now });
    });

    it('is no failure of the signer: the two are counted apart', async () => {
      for (let batch = 0; batch < 2; batch++) await batchThat(sealed);
      for (let batch = 0; batch < 2; batch++) await batchThat(unavailable);
      now += patience;
      expect(await batchThat(unavailable)).toHaveLength(1);
      expect(await read()).toMatchObject({ state: 'open', reason: 'SIGNER_UNAVAILABLE' });
    });
  });

  it('a batch that signs between them begins the count anew', async () => {
    await batchThat(unavailable);
    await batchThat(unavailable);
    expect(await batchThat('signs')).toEqual([]);
    await batchThat(unavailable);
    await batchThat(unavailable);
    expect(await read()).toMatchObject({ state: 'closed', failures: 2 });
  });

  it('one signature of a batch outweighs its failures, in whichever order', async () => {
    const gate = newGate();
    await gate.admit(issuerId);
    gate.noteError(issuerId, unavailable);
    gate.noteSigned(issuerId);
    gate.noteError(issuerId, unavailable);
    expect(await gate.report()).toEqual([]);
    expect(await read()).toMatchObject({ failures: 0, revision: 0 });
  });

  it('a refused PIN outweighs every signature, and is told at once: others would send it meanwhile', async () => {
    const gate = newGate();
    await gate.admit(issuerId);
    gate.noteSigned(issuerId);
    gate.noteError(issuerId, refused);
    gate.noteError(issuerId, refused);
    await expect.poll(read).toMatchObject({ state: 'open', held: true, isPinDoubtful: true });
    gate.noteSigned(issuerId);
    expect((await gate.report()).map(({ to }) => to.revision)).toEqual([1]);
    expect(await read()).toMatchObject({ held: true, reason: 'SIGNER_PIN_REFUSED', revision: 1 });
  });

  it('a refused PIN that could not be told is no reason to close it: the next probe says it again', async () => {
    await bring('half-open');
    const worker = newWorker();
    const gate = newGate(worker);
    await gate.admit(issuerId);
    worker.dynamoDB.fail(updates(tables.issuers), 'not-written');
    gate.noteError(issuerId, refused);
    await expect.poll(() => worker.errors.map(({ code }) => code)).toEqual(['STORE_UNAVAILABLE']);
    gate.noteSigned(issuerId);
    expect(await gate.report()).toEqual([]);
    expect(await read()).toMatchObject({ state: 'half-open', probesLeft: 0 });
  });

  describe('wrong signatures beside right ones', () => {
    const wrong = new MintmarkError('SIGNATURE_WRONG', 'It does not verify.');

    async function batchWith(right: number, wrongs: number) {
      const gate = newGate();
      await gate.admit(issuerId);
      for (let count = 0; count < wrongs; count++) gate.noteError(issuerId, wrong);
      for (let count = 0; count < right; count++) gate.noteSigned(issuerId);
      gate.noteError(issuerId, unavailable);
      return gate.report();
    }

    it('open again what a probe tried, be it one', async () => {
      await bring('half-open');
      expect((await batchWith(9, 1)).map(({ to }) => [to.state, to.reason])).toEqual([['open', 'SIGNATURE_WRONG']]);
    });

    it('are a failed batch of a closed breaker where they are half of all', async () => {
      await batchWith(5, 5);
      expect(await read()).toMatchObject({ failures: 1 });
      await batchWith(6, 5);
      expect(await read()).toMatchObject({ failures: 0 });
      for (let batch = 0; batch < failuresToOpen; batch++) await batchWith(5, 5);
      expect(await read()).toMatchObject({ state: 'open', reason: 'SIGNATURE_WRONG' });
    });
  });

  it.each(['SIGNER_MISCONFIGURED', 'PIN_UNSEAL_FAILED', 'PIN_UNSEAL_REFUSED'] as const)(
    'a probe that ends in %s opens it again, if nothing was signed beside it',
    async (code) => {
      await bring('half-open');
      expect((await batchThat(new MintmarkError(code, 'Not so.'))).map(({ to }) => to.reason)).toEqual([code]);
      await breakers.resume(await read(), 1, now);
      const gate = newGate();
      await gate.admit(issuerId);
      gate.noteError(issuerId, new MintmarkError(code, 'Not so.'));
      gate.noteSigned(issuerId);
      expect((await gate.report()).map(({ to }) => to.state)).toEqual(['closed']);
    },
  );

  it('a PIN that was refused is in doubt until something is signed, whatever the reason has become', async () => {
    await batchThat(refused);
    await breakers.resume(await read(), 1, now);
    await batchThat(unavailable);
    expect(await read()).toMatchObject({ state: 'open', reason: 'SIGNER_UNAVAILABLE', isPinDoubtful: true });
    await breakers.hold(await read(), { reason: 'OPERATOR', detail: 'By hand.' }, now);
    expect(await read()).toMatchObject({ reason: 'OPERATOR', isPinDoubtful: true });
    await breakers.resume(await read(), 1, now);
    await batchThat('signs');
    expect(await read()).not.toHaveProperty('isPinDoubtful');
    await breakers.hold(await read(), { reason: 'OPERATOR', detail: 'By hand.' }, now);
    expect(await read()).not.toHaveProperty('isPinDoubtful');
  });

  it.each(['SIGNER_MISCONFIGURED', 'PIN_UNSEAL_REFUSED', 'STORE_UNAVAILABLE', 'INTERNAL', 'SIGNER_PAUSED'] as const)(
    '%s says nothing of the signer',
    async (code) => {
      for (let batch = 0; batch < 5; batch++) await batchThat(new MintmarkError(code, 'Something.'));
      expect(await read()).toMatchObject({ state: 'closed', revision: 0, failures: 0 });
    },
  );

  it('many that fail at once open it once', async () => {
    const gates = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const gate = newGate();
        await gate.admit(issuerId);
        gate.noteError(issuerId, unavailable);
        return gate;
      }),
    );
    const changes = (await Promise.all(gates.map((gate) => gate.report()))).flat();
    expect(changes).toHaveLength(1);
    const record = await read();
    expect(record).toMatchObject({ state: 'open', revision: 1 });
    expect(record.untold).toHaveLength(1);
  });

  it('a refused PIN holds at once, and also what another batch opened meanwhile', async () => {
    const late = newGate();
    await late.admit(issuerId);
    for (let batch = 0; batch < failuresToOpen; batch++) await batchThat(unavailable);
    expect(await read()).toMatchObject({ state: 'open', held: false });
    late.noteError(issuerId, refused);
    expect((await late.report()).map(({ to }) => to.held)).toEqual([true]);
    expect(await read()).toMatchObject({ state: 'open', held: true, reason: 'SIGNER_PIN_REFUSED' });
    expect(await breakers.halfOpen(await read(), 3, now)).toBeUndefined();
  });

  describe('a refused PIN that is heard late', () => {
    it('while an operator holds it is in doubt after the resume, and the operator is told', async () => {
      const late = newGate();
      await late.admit(issuerId);
      await breakers.hold(await read(), { reason: 'OPERATOR', detail: 'New HSMs.' }, now);
      const { since } = await read();
      now += 60_000;
      late.noteError(issuerId, refused);
      expect((await late.report()).map(({ to }) => to.reason)).toEqual(['SIGNER_PIN_REFUSED']);
      expect(await read()).toMatchObject({ held: true, isPinDoubtful: true, reason: 'SIGNER_PIN_REFUSED', since });
      await breakers.resume(await read(), 1, now);
      expect(await read()).toMatchObject({ state: 'half-open', isPinDoubtful: true });
      // The canary, which has a PIN of its own, signs, and nothing waits.
      expect(stepFor(await read(), 'signs', false, now + 60_000, breakerTimes(60))).toBe('leave');
    });

    it("is in the record again where a pause took the reason's place while a probe was out", async () => {
      await batchThat(refused);
      await breakers.resume(await read(), 1, now);
      const probe = newGate();
      await probe.admit(issuerId);
      await breakers.hold(await read(), { reason: 'OPERATOR', detail: 'New HSMs.' }, now);
      probe.noteError(issuerId, refused);
      expect((await probe.report()).map(({ to }) => to.reason)).toEqual(['SIGNER_PIN_REFUSED']);
      expect(await read()).toMatchObject({ held: true, isPinDoubtful: true, reason: 'SIGNER_PIN_REFUSED' });
      expect((await read()).untold.at(-1)).toMatchObject({ held: true, reason: 'SIGNER_PIN_REFUSED' });
    });

    it('is written once, however many hear of it', async () => {
      const late = await Promise.all(
        Array.from({ length: 4 }, async () => {
          const gate = newGate();
          await gate.admit(issuerId);
          return gate;
        }),
      );
      await breakers.hold(await read(), { reason: 'OPERATOR', detail: 'New HSMs.' }, now);
      for (const gate of late) gate.noteError(issuerId, refused);
      expect((await Promise.all(late.map((gate) => gate.report()))).flat()).toHaveLength(1);
      expect(await read()).toMatchObject({ revision: 2, isPinDoubtful: true });
    });

    it('after another probe has closed it holds it', async () => {
      await breakers.hold(await read(), why, now);
      await breakers.resume(await read(), 3, now);
      const [one, other] = [newGate(), newGate()];
      await one.admit(issuerId);
      await other.admit(issuerId);
      one.noteSigned(issuerId);
      await one.report();
      other.noteError(issuerId, refused);
      expect((await other.report()).map(({ from, to }) => [from.state, to.held])).toEqual([['closed', true]]);
      expect(await read()).toMatchObject({ state: 'open', held: true, isPinDoubtful: true });
    });

    it('after an operator has resumed it holds it again, and no probe of before closes it', async () => {
      const late = newGate();
      await late.admit(issuerId);
      await breakers.hold(await read(), { reason: 'OPERATOR', detail: 'New HSMs.' }, now);
      await breakers.resume(await read(), 1, now);
      const probe = newGate();
      expect(await probe.admit(issuerId)).toMatchObject({ isProbe: true, provesPin: false });
      late.noteError(issuerId, refused);
      await late.report();
      probe.noteSigned(issuerId);
      expect(await probe.report()).toEqual([]);
      expect(await read()).toMatchObject({ state: 'open', held: true, isPinDoubtful: true });
    });

    it('where others change the breaker again and again is said so, and by the next batch again', async () => {
      const worker = newWorker();
      const gate = newGate(worker);
      await gate.admit(issuerId);
      for (let change = 0; change < 5; change++) {
        worker.dynamoDB.before(updates(tables.issuers), async () => {
          const present = await read();
          if (present.state === 'closed') await breakers.hold(present, { reason: 'OPERATOR', detail: 'By hand.' }, now);
          else if (present.state === 'open') await breakers.resume(present, 1, now);
          else await breakers.close(present, now);
        });
      }
      gate.noteError(issuerId, refused);
      expect(await gate.report()).toEqual([]);
      expect(worker.errors.map(({ message }) => message)).toEqual([`Others keep changing the breaker of ${issuerId}.`]);
    });
  });

  it('two that race for the last probe: one tries, the other waits a little', async () => {
    await bring('half-open');
    const [one, other] = [newWorker(), newWorker()];
    const gate = newGate(one);
    // Both have read one probe left when the first takes it.
    other.dynamoDB.before(updates(tables.issuers), () => gate.admit(issuerId));
    const lost: unknown = await newGate(other)
      .admit(issuerId)
      .catch((error: unknown) => error);
    expect(lost).toBeInstanceOf(SignerPausedError);
    expect((lost as SignerPausedError).wait.most).toBeLessThan(60);
    gate.noteSigned(issuerId);
    expect((await gate.report()).map(({ to }) => to.state)).toEqual(['closed']);
  });

  it("a probe whose reply was lost is nobody's, and is not taken twice", async () => {
    await breakers.hold(await read(), why, now);
    await breakers.resume(await read(), 3, now);
    const worker = newWorker();
    // What the client does after a lost reply: the call has arrived, and is sent again.
    worker.dynamoDB.before(updates(tables.issuers), async () => breakers.takeProbe(await read(), now));
    await expect(newGate(worker).admit(issuerId)).rejects.toMatchObject({ code: 'SIGNER_PAUSED' });
    expect(await read()).toMatchObject({ state: 'half-open', probesLeft: 2, probedAt: now });
  });

  it.each(['not-written', 'reply-lost'] as const)('nobody tries whom the table did not let: %s', async (fault) => {
    await bring('half-open');
    const worker = newWorker();
    worker.dynamoDB.fail(updates(tables.issuers), fault);
    const lost: unknown = await newGate(worker)
      .admit(issuerId)
      .catch((error: unknown) => error);
    expect(lost).toMatchObject({ code: 'SIGNER_PAUSED', disposition: 'retry' });
    expect((lost as SignerPausedError).wait.most).toBeLessThan(60);
    expect(worker.errors.map(({ code }) => code)).toEqual(['STORE_UNAVAILABLE']);
  });

  describe('where nobody has looked for a quarter of an hour', () => {
    const quarter = 15 * 60_000;

    it('one batch of all tries by itself, and what it finds counts', async () => {
      await bring('open');
      now += quarter;
      await expect(newGate().admit(issuerId)).rejects.toMatchObject({ code: 'SIGNER_PAUSED' });
      now += 1;
      const gates = Array.from({ length: 5 }, () => newGate());
      const admitted = await Promise.allSettled(gates.map((gate) => gate.admit(issuerId)));
      expect(admitted.map(({ status }) => status).toSorted()).toEqual(['fulfilled', ...Array(4).fill('rejected')]);
      expect(await read()).toMatchObject({ state: 'half-open', probesLeft: 0, triedBy: 'gate', probedAt: now });
      const trying = gates[admitted.findIndex(({ status }) => status === 'fulfilled')];
      trying?.noteSigned(issuerId);
      expect((await trying?.report())?.map(({ to }) => to.state)).toEqual(['closed']);
    });

    it('one that fails opens it for another quarter', async () => {
      await bring('open');
      now += quarter + 1;
      expect((await batchThat(unavailable)).map(({ to }) => to.state)).toEqual(['open']);
      now += quarter;
      await expect(newGate().admit(issuerId)).rejects.toMatchObject({ code: 'SIGNER_PAUSED' });
      now += 1;
      expect((await batchThat('signs')).map(({ to }) => to.state)).toEqual(['closed']);
    });

    it('one that never says how it went is followed by another, after another quarter', async () => {
      await bring('open');
      now += quarter + 1;
      await newGate().admit(issuerId);
      now += quarter;
      await expect(newGate().admit(issuerId)).rejects.toMatchObject({ code: 'SIGNER_PAUSED' });
      now += 1;
      expect((await batchThat('signs')).map(({ to }) => to.state)).toEqual(['closed']);
    });

    it('none tries while an operator holds it', async () => {
      await bring('held');
      now += 100 * quarter;
      await expect(newGate().admit(issuerId)).rejects.toMatchObject({ code: 'SIGNER_PAUSED' });
    });
  });

  describe('a PIN that was refused to a process', () => {
    it('is sent again by a probe alone while the breaker is not closed', async () => {
      const worker = newWorker();
      expect(await newGate(worker).admit(issuerId)).toMatchObject({ isProbe: false, sendsRefusedPinAgain: false });
      await batchThat(refused, worker);
      await breakers.resume(await read(), 1, now);
      const gate = newGate(worker);
      expect(await gate.admit(issuerId)).toEqual(
        expect.objectContaining({ isProbe: true, sendsRefusedPinAgain: true, provesPin: true }),
      );
    });

    it('is sent again once another process has signed, and not before the breaker has changed', async () => {
      const worker = newWorker();
      worker.dynamoDB.fail(updates(tables.issuers), 'not-written');
      await batchThat(refused, worker);
      // The record is as it was: it could not be written.
      expect(await newGate(worker).admit(issuerId)).toMatchObject({ sendsRefusedPinAgain: false });
      await bring('half-open');
      await batchThat('signs');
      expect(await newGate(worker).admit(issuerId)).toMatchObject({ isProbe: false, sendsRefusedPinAgain: true });
      expect(await newGate().admit(issuerId)).toMatchObject({ sendsRefusedPinAgain: false });
      await batchThat(refused, worker);
      expect(await read()).toMatchObject({ state: 'open', held: true });
    });

    it('is forgotten with the first signature', async () => {
      const worker = newWorker();
      await batchThat(refused, worker);
      await breakers.resume(await read(), 1, now);
      await batchThat('signs', worker);
      expect(await newGate(worker).admit(issuerId)).toMatchObject({ sendsRefusedPinAgain: false });
    });

    it('is not sent again because the record could not be read', async () => {
      const worker = newWorker();
      await batchThat(refused, worker);
      await breakers.resume(await read(), 1, now);
      await batchThat('signs');
      await newGate(worker).admit(issuerId);
      worker.dynamoDB.fail((command) => command.constructor.name === 'GetItemCommand', 'not-written');
      expect(await newGate(worker).admit(issuerId)).toMatchObject({ sendsRefusedPinAgain: false });
    });
  });

  it('a probe that fails opens it again, and the success of an older batch does not close it', async () => {
    const old = newGate();
    await old.admit(issuerId);
    await bring('half-open');
    old.noteSigned(issuerId);
    expect(await old.report()).toEqual([]);
    expect((await batchThat(unavailable)).map(({ to }) => to.state)).toEqual(['open']);
  });

  it('a probe that never got to the signer decides nothing', async () => {
    await bring('half-open');
    const gate = newGate();
    await gate.admit(issuerId);
    expect(await gate.report()).toEqual([]);
    expect(await read()).toMatchObject({ state: 'half-open', probesLeft: 0 });
  });

  it('a record that cannot be read stops nobody who has not read it open', async () => {
    const isRead = (command: object) => command.constructor.name === 'GetItemCommand';
    const worker = newWorker();
    worker.dynamoDB.fail(isRead, 'not-written');
    expect(await batchThat('signs', worker)).toEqual([]);
    expect(worker.errors.map(({ code }) => code)).toEqual(['STORE_UNAVAILABLE']);

    await bring('open');
    await expect(batchThat('signs', worker)).rejects.toMatchObject({ code: 'SIGNER_PAUSED' });
    worker.dynamoDB.fail(isRead, 'not-written');
    await expect(batchThat('signs', worker)).rejects.toMatchObject({ code: 'SIGNER_PAUSED' });
  });

  it('a row that is none stops nobody, nor whoever had read it open, nor when it cannot be had afterwards', async () => {
    await bring('open');
    const worker = newWorker();
    await expect(batchThat('signs', worker)).rejects.toMatchObject({ code: 'SIGNER_PAUSED' });
    const row = { TableName: tables.issuers, Item: { issuerId: { S: breakerKey(issuerId) } } };
    await store.client.send(new PutItemCommand(row));
    expect(await newGate(worker).admit(issuerId)).toMatchObject({ isProbe: false });
    worker.dynamoDB.fail((command) => command.constructor.name === 'GetItemCommand', 'not-written');
    expect(await newGate(worker).admit(issuerId)).toMatchObject({ isProbe: false });
    expect(worker.errors.map(({ code }) => code)).toEqual(['INTERNAL', 'STORE_UNAVAILABLE']);
    // What comes of such a batch is written nowhere, and is no error but that one.
    expect(await batchThat(unavailable, worker)).toEqual([]);
    expect(await batchThat(refused, worker)).toEqual([]);
  });

  it('what a process has made of a breaker is what it has last read of it', async () => {
    await bring('half-open');
    const worker = newWorker();
    await batchThat('signs', worker);
    worker.dynamoDB.fail((command) => command.constructor.name === 'GetItemCommand', 'not-written');
    expect(await newGate(worker).admit(issuerId)).toMatchObject({ isProbe: false });
  });

  it('a report that cannot be written is told, and harms nothing', async () => {
    const worker = newWorker();
    worker.dynamoDB.fail(updates(tables.issuers), 'not-written');
    expect(await batchThat(unavailable, worker)).toEqual([]);
    expect(worker.errors.map(({ code }) => code)).toEqual(['STORE_UNAVAILABLE']);
    expect(await read()).toMatchObject({ state: 'closed', failures: 0 });
  });
});
