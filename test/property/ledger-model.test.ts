import { createHash } from 'node:crypto';
import { GetItemCommand } from '@aws-sdk/client-dynamodb';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MintmarkError } from '../../shared/errors.ts';
import type { LintedTbsCertificate } from '../../shared/issuance/lint.ts';
import type { Item } from '../../shared/ledger/index.ts';
import {
  IssuanceLedger,
  keyOf,
  type RecordedIntent,
  type ReopenableRow,
  type RequestIdentity,
  type StandingRow,
} from '../../shared/ledger/issuance.ts';
import { Revocations } from '../../shared/ledger/revocations.ts';
import { newLinted, issuedAt as start } from '../support/linted.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { type CallFault, updates, type WrappedClient, wrapClient } from '../support/wrapped-client.ts';

/**
 * Workers that keep three rules: they sign only what the ledger calls recorded, begin anew only where the row that they
 * saw last lets them (issuance/decision.ts), and revoke before they go on (issuance/abandon.ts). For the rest they read,
 * write, sign and give up in any order, on what they read long ago, and never learn whether a write that failed was done.
 * What must hold then holds by the ledger's conditions alone.
 */

/** What a row is to be, by the design's words and not by row.ts. */
interface ModelRow {
  state: 'absent' | 'intent' | 'issued' | 'rejected' | 'abandoned';
  hash: string;
  attempt: number;
  serialNumber: string | undefined;
  reopenable: boolean;
  abandoned: string[];
  /** Listed in the index openIntents: a certificate, a revocation or an announcement is owed. */
  isListed: boolean;
  /** Hex; the one that anybody may ever see. */
  certificate: string | undefined;
}

interface Model {
  readonly rows: ModelRow[];
}

/** A worker's idea of a request: what it read or wrote last, and the certificates that it has from its signatures. */
interface View {
  standing: StandingRow | undefined;
  signed: { readonly intent: RecordedIntent; readonly certificate: Uint8Array } | undefined;
}

interface Real {
  readonly ledger: IssuanceLedger<LintedTbsCertificate>;
  readonly revocations: Revocations;
  readonly requests: readonly RequestIdentity[];
  /** By worker and request. */
  readonly views: readonly (readonly View[])[];
  /** Digest of every TBS that was ever seen in the table as an intent's. */
  readonly recordedDigests: Set<string>;
  signatures: number;
  readonly revoked: Set<string>;
  now: number;
}

const workerCount = 2;
const requestCount = 2;
const hashes = ['a', 'b'].map((letter) => letter.repeat(64));

let store: Tables;
let dynamoDB: WrappedClient;
let runs = 0;

beforeAll(async () => {
  store = await startTables();
  dynamoDB = wrapClient(store.newClient());
});

afterAll(() => store.close());

const digestOf = (tbsCertificate: Uint8Array): string => createHash('sha256').update(tbsCertificate).digest('hex');
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

async function itemOf({ deviceId, requestId }: RequestIdentity): Promise<Item | undefined> {
  const Key = { deviceId: { S: deviceId }, requestId: { S: requestId } };
  const command = new GetItemCommand({ TableName: tables.issuance, Key, ConsistentRead: true });
  return (await store.client.send(command)).Item;
}

/** One worker at one request. */
interface Situation {
  readonly row: ModelRow;
  readonly real: Real;
  readonly request: RequestIdentity;
  readonly view: View;
}

/** Whose step it is, and at what. */
interface Where {
  readonly worker: number;
  readonly request: number;
}

type Step = fc.AsyncCommand<Model, Real>;

/** @param details for the counterexample */
const step = (name: string, where: Where, details: object, act: (situation: Situation) => Promise<void>): Step => ({
  check: () => true,
  run: async (model, real) => {
    const row = model.rows[where.request] as ModelRow;
    const before = { ...row };
    const request = real.requests[where.request] as RequestIdentity;
    await act({ row, real, request, view: real.views[where.worker]?.[where.request] as View });
    await holds(before, row, real, request);
  },
  toString: () => `${name} ${JSON.stringify({ ...where, ...details })}`,
});

/**
 * A write that may fail, done or not; what the model says of it is done exactly when the write is.
 * @returns undefined where the worker does not learn that it was done
 */
async function write<Row extends StandingRow>(
  fate: CallFault | undefined,
  isLegal: boolean,
  send: () => Promise<{ readonly done: true; readonly row: Row } | { readonly done: false }>,
  change: () => void,
): Promise<Row | undefined> {
  // A refusal whose reply is lost teaches a worker as little as a write that never arrived: that one stands for both.
  const fault = isLegal ? fate : fate && 'not-written';
  if (fault !== undefined) {
    dynamoDB.fail(updates(tables.issuance), fault);
    await expect(send()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    if (fault === 'reply-lost') change();
    return undefined;
  }
  const written = await send();
  expect(written.done).toBe(isLegal);
  if (!written.done) return undefined;
  change();
  return written.row;
}

const read = (where: Where): Step =>
  step('read', where, {}, async ({ real, request, view }) => {
    view.standing = (await real.ledger.read([request])).get(keyOf(request));
  });

/** Whether a new intent or a rejection may follow: nothing binds the request, or what does is this one and as it was read. */
function isOpen(row: ModelRow, hash: string, view: View): boolean {
  const attemptRead = view.standing?.attempt ?? 0;
  switch (row.state) {
    case 'absent':
      return true;
    case 'abandoned':
      return row.hash === hash && row.attempt === attemptRead;
    case 'rejected':
      return row.reopenable && row.attempt === attemptRead && (row.attempt === 0 || row.hash === hash);
    case 'intent':
    case 'issued':
      return false;
  }
}

const bindsNothing = (seen: StandingRow | undefined): seen is ReopenableRow | undefined =>
  seen?.state !== 'intent' && seen?.state !== 'issued';

/** As issuance/abandon.ts does, before a request goes on and before what is owed is struck off. */
async function revoke(real: Real, view: View): Promise<void> {
  for (const serial of view.standing?.abandonedSerialNumbers ?? []) {
    await real.revocations.revokeAbandoned(serial, real.now);
    real.revoked.add(serial.serialNumber);
  }
}

const recordIntent = (where: Where, fault: CallFault | undefined, hash: string): Step =>
  step('recordIntent', where, { fault, hash: hash[0] }, async ({ row, real, request, view }) => {
    const { standing } = view;
    if (!bindsNothing(standing)) return;
    const linted = newLinted();
    const { serialNumber } = linted;
    const attempt = (view.standing?.attempt ?? 0) + 1;
    await revoke(real, view);
    const written = await write(
      fault,
      isOpen(row, hash, view),
      () => {
        const identity = { ...request, requestHash: hash };
        return real.ledger.recordIntent(identity, standing, linted, real.now + 900_000, real.now);
      },
      () => Object.assign(row, { state: 'intent', hash, attempt, serialNumber, isListed: true }),
    );
    view.standing = written ?? view.standing;
  });

const sign = (where: Where): Step =>
  step('sign', where, {}, async ({ real, view }) => {
    if (view.standing?.state !== 'intent') return;
    const intent = view.standing;
    const digest = digestOf(intent.tbsCertificate);
    expect(real.recordedDigests).toContain(digest);
    // Another one with each signature, as ECDSA's are.
    view.signed = { intent, certificate: Buffer.from(`${digest} ${++real.signatures}`) };
  });

/** @param isUnannounced by somebody to whom no message will come back, so that the announcement is still owed */
const storeCertificate = (where: Where, fault: CallFault | undefined, isUnannounced: boolean): Step =>
  step('storeCertificate', where, { fault, isUnannounced }, async ({ row, real, view }) => {
    if (view.signed === undefined) return;
    const { intent, certificate } = view.signed;
    const written = await write(
      fault,
      row.state === 'intent' && row.serialNumber === intent.serialNumber,
      () =>
        isUnannounced
          ? real.ledger.storeUnannouncedCertificate(intent, certificate, real.now)
          : real.ledger.storeCertificate(intent, certificate, real.now),
      () => Object.assign(row, { state: 'issued', certificate: hex(certificate), isListed: isUnannounced }),
    );
    view.standing = written ?? view.standing;
  });

const reject = (where: Where, fault: CallFault | undefined, hash: string, isReopenable: boolean): Step =>
  step('reject', where, { fault, hash: hash[0], isReopenable }, async ({ row, real, request, view }) => {
    const { standing } = view;
    if (!bindsNothing(standing)) return;
    const error = new MintmarkError(isReopenable ? 'DEVICE_BLOCKED' : 'KEY_INVALID', 'No.');
    const attempt = view.standing?.attempt ?? 0;
    await revoke(real, view);
    const written = await write(
      fault,
      isOpen(row, hash, view),
      () =>
        real.ledger.reject({ ...request, requestHash: hash, profileHash: 'd'.repeat(64) }, standing, error, real.now),
      () => Object.assign(row, { state: 'rejected', hash, attempt, reopenable: isReopenable, isListed: false }),
    );
    view.standing = written ?? view.standing;
  });

const abandon = (where: Where, fault: CallFault | undefined): Step =>
  step('abandon', where, { fault }, async ({ row, real, view }) => {
    if (view.standing?.state !== 'intent') return;
    const intent = view.standing;
    const written = await write(
      fault,
      row.state === 'intent' && row.serialNumber === intent.serialNumber,
      () => real.ledger.abandon(intent, 'deadline-passed', real.now),
      () => Object.assign(row, { state: 'abandoned', abandoned: [...row.abandoned, intent.serialNumber] }),
    );
    view.standing = written ?? view.standing;
  });

const settle = (where: Where): Step =>
  step('settle', where, {}, async ({ row, real, view: { standing, ...view } }) => {
    if (standing?.state !== 'abandoned' && standing?.state !== 'issued') return;
    await revoke(real, { standing, ...view });
    await real.ledger.settle(standing);
    if (row.state === standing.state && row.attempt === standing.attempt) row.isListed = false;
  });

const countConflict = (where: Where): Step =>
  step('countConflict', where, {}, async ({ row, real, request }) => {
    const counted = real.ledger.countConflict(request, real.now);
    if (row.state === 'absent') await expect(counted).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    else await counted;
  });

const wait = (milliseconds: number): Step => ({
  check: () => true,
  run: async (_, real) => {
    real.now += milliseconds;
  },
  toString: () => `wait ${milliseconds}`,
});

/** Which state may follow which: the design's, drawn once more. */
const mayFollow: Readonly<Record<ModelRow['state'], readonly ModelRow['state'][]>> = {
  absent: ['absent', 'intent', 'rejected'],
  intent: ['intent', 'issued', 'abandoned'],
  issued: ['issued'],
  rejected: ['rejected', 'intent'],
  abandoned: ['abandoned', 'intent', 'rejected'],
};

/** What must be true of a request after every step, whoever did what. Reads the table past the ledger. */
async function holds(before: ModelRow, row: ModelRow, real: Real, request: RequestIdentity): Promise<void> {
  const item = await itemOf(request);
  const state = (item?.state?.S ?? 'absent') as ModelRow['state'];
  const attempt = Number(item?.attempt?.N ?? 0);
  const abandoned = (item?.abandonedSerialNumbers?.L ?? []).map((element) => element.M?.serialNumber?.S ?? '');
  const certificate = item?.certificate?.B === undefined ? undefined : hex(item.certificate.B);
  if (state === 'intent') real.recordedDigests.add(digestOf(item?.tbsCertificate?.B ?? new Uint8Array()));

  expect(mayFollow[before.state]).toContain(state);
  if (before.state === 'rejected' && !before.reopenable) expect(state).toBe('rejected');
  // One certificate at most, ever.
  if (before.certificate !== undefined) expect(certificate).toBe(before.certificate);
  // Attempts grow, and never skip one: each is an intent that was given up.
  expect(attempt).toBeGreaterThanOrEqual(before.attempt);
  if (state === 'intent' || state === 'issued') expect(attempt).toBe(abandoned.length + 1);
  else expect(attempt).toBe(abandoned.length);
  // A serial number that was given up stays given up.
  expect(abandoned.slice(0, before.abandoned.length)).toEqual(before.abandoned);
  if (state === 'issued') expect(abandoned).not.toContain(item?.serialNumber?.S);
  // A serial number that was given up is revoked before its row is struck off the list of those that something is owed for.
  const isListed = item?.openIntentShard !== undefined;
  const owed = state === 'abandoned' && isListed ? abandoned.slice(0, -1) : abandoned;
  expect([...real.revoked]).toEqual(expect.arrayContaining(owed));
  // No TBS is lost: everything that may have been signed for this row can be found in it.
  if (state === 'intent') expect(item).toHaveProperty('tbsCertificate');
  for (const { M: one = {} } of item?.abandonedSerialNumbers?.L ?? []) {
    expect(real.recordedDigests).toContain(digestOf(one.tbsCertificate?.B ?? new Uint8Array()));
  }
  // And the row is what the model says.
  expect({ state, attempt, abandoned, isListed, certificate }).toEqual({
    state: row.state,
    attempt: row.attempt,
    abandoned: row.abandoned,
    isListed: row.isListed,
    certificate: row.certificate,
  });
  if (state === 'intent' || state === 'issued') expect(item?.serialNumber?.S).toBe(row.serialNumber);
  if (state !== 'absent') expect(item?.requestHash?.S).toBe(row.hash);
}

const where = fc.record({ worker: fc.nat({ max: workerCount - 1 }), request: fc.nat({ max: requestCount - 1 }) });
const hash = fc.oneof({ arbitrary: fc.constant(hashes[0] as string), weight: 2 }, fc.constantFrom(...hashes));
/** A final refusal ends a request's story, so most are not. */
const reopenable = fc.oneof({ arbitrary: fc.constant(true), weight: 5 }, fc.constant(false));
const fault = fc.oneof(
  { arbitrary: fc.constant(undefined), weight: 6 },
  fc.constantFrom<CallFault>('not-written', 'reply-lost'),
);

const often = <Value>(count: number, value: Value): Value[] => Array.from({ length: count }, () => value);

/** How often each comes is chosen so that requests go through many attempts before one is issued. */
const steps: fc.Arbitrary<Step>[] = [
  ...often(5, where.map(read)),
  ...often(
    6,
    fc.tuple(where, fault, hash).map((chosen) => recordIntent(...chosen)),
  ),
  ...often(2, where.map(sign)),
  fc.tuple(where, fault, fc.boolean()).map((chosen) => storeCertificate(...chosen)),
  ...often(
    2,
    fc.tuple(where, fault, hash, reopenable).map((chosen) => reject(...chosen)),
  ),
  ...often(
    6,
    fc.tuple(where, fault).map((chosen) => abandon(...chosen)),
  ),
  ...often(3, where.map(settle)),
  where.map(countConflict),
  fc.constantFrom(1_000, 600_000).map(wait),
];

function newWorld(): { model: Model; real: Real } {
  runs++;
  const requests = Array.from({ length: requestCount }, (_, index) => ({
    deviceId: `device-${runs}`,
    requestId: `request-${index}`,
    requestHash: hashes[0] as string,
    profile: 'device-tls',
    sender: 'AROAEXAMPLEROLEID',
  }));
  const newRow = (): ModelRow => ({
    state: 'absent',
    hash: '',
    attempt: 0,
    serialNumber: undefined,
    reopenable: false,
    abandoned: [],
    isListed: false,
    certificate: undefined,
  });
  return {
    model: { rows: requests.map(newRow) },
    real: {
      ledger: new IssuanceLedger(dynamoDB.client, tables.issuance),
      revocations: new Revocations(dynamoDB.client, tables.revocations),
      requests,
      views: Array.from({ length: workerCount }, () =>
        requests.map(() => ({ standing: undefined, signed: undefined })),
      ),
      recordedDigests: new Set(),
      signatures: 0,
      revoked: new Set(),
      now: start,
    },
  };
}

/** What is revoked is what was given up, and no certificate is. */
async function revokedRightly({ ledger, revocations, requests, revoked }: Real): Promise<void> {
  for (const one of requests) {
    const standing = (await ledger.read([one])).get(keyOf(one));
    for (const serial of standing?.abandonedSerialNumbers ?? []) {
      expect(await revocations.isRevoked(serial)).toBe(revoked.has(serial.serialNumber));
    }
    if (standing?.state === 'issued') {
      const { issuerId, serialNumber } = standing;
      const crlShard = Number((await itemOf(one))?.crlShard?.N);
      expect(await revocations.isRevoked({ issuerId, serialNumber, crlShard })).toBe(false);
    }
  }
}

const [one, other]: readonly [Where, Where] = [
  { worker: 0, request: 0 },
  { worker: 1, request: 0 },
];
const [its = '', anothers = ''] = hashes;
const begun = [recordIntent(one, undefined, its), abandon(one, undefined)];

/** What is rarely come by: every run tells these first. */
const stories: readonly (readonly [string, readonly Step[]])[] = [
  ['an abandoned attempt, an attempt late', [...begun, read(other), ...begun, recordIntent(other, undefined, its)]],
  [
    'a rejection, an attempt late',
    [
      ...begun,
      reject(one, undefined, its, true),
      read(other),
      ...begun,
      reject(one, undefined, its, true),
      recordIntent(other, undefined, its),
    ],
  ],
  [
    'another request, once there was an attempt',
    [...begun, reject(one, undefined, its, true), recordIntent(one, undefined, anothers)],
  ],
  [
    'settling an attempt, an attempt late',
    [...begun, read(other), recordIntent(other, undefined, its), abandon(other, undefined), settle(one)],
  ],
];

it.each(stories)('keeps its promises: %s', async (_, story) => {
  await fc.asyncModelRun(() => newWorld(), story);
});

it('keeps its promises whatever workers do to it, in whatever order, with whatever fate of each write', async () => {
  await fc.assert(
    fc.asyncProperty(fc.commands(steps, { maxCommands: 80, size: 'max' }), async (commands) => {
      const world = newWorld();
      await fc.asyncModelRun(() => world, commands);
      await revokedRightly(world.real);
    }),
    // The last: a busy machine does fewer, in a minute.
    { numRuns: 40, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
  );
}, 120_000);
