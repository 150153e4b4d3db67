import { BatchGetItemCommand, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Outcome, QueuedRequest } from '../../shared/issuance/outcome.ts';
import type { Profile } from '../../shared/issuance/profile.ts';
import { reconcile } from '../../shared/issuance/reconcile.ts';
import { Devices } from '../../shared/ledger/devices.ts';
import { IssuanceRecords } from '../../shared/ledger/issuance-records.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { OpenIntents } from '../../shared/ledger/open-intents.ts';
import { SenderRecords } from '../../shared/ledger/sender-records.ts';
import type { Grant } from '../../shared/ledger/senders.ts';
import { minute, queue, redelivered, startWorker, type Worker } from '../support/issuing.ts';
import { type IssuingCa, makeIssuingCa } from '../support/issuing-ca.ts';
import { deviceTls } from '../support/profile.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';

/** Who may enrol whose devices, from the records of an event to the rows. */

const start = Date.parse('2026-11-22T12:00:00Z');
const registered: Profile = { ...deviceTls, name: 'registered', allowedSenders: 'registered' };
const profiles = [deviceTls, registered];

let store: Tables;
let ca: IssuingCa;
let now: number;
let worker: Worker;
let senders: SenderRecords;
let devices = 0;
let principals = 0;

beforeAll(async () => {
  ca = makeIssuingCa({ notBefore: new Date(start - 86_400_000), notAfter: new Date(start + 10 * 365 * 86_400_000) });
  store = await startTables();
  senders = new SenderRecords(store.client, tables.senders);
  await new Issuers(store.client, tables.issuers).add(ca.issuer);
});
beforeEach(() => {
  now = start;
  worker = startWorker({ tables: store, ca, profiles, now: () => now });
});
afterAll(() => store.close());

async function newDevice(fleet?: string): Promise<string> {
  const deviceId = `device-${++devices}`;
  const device = { deviceId, state: 'active', ...(fleet === undefined ? {} : { fleet }) } as const;
  await new Devices(store.client, tables.devices).register(device);
  return deviceId;
}

/** A role's id, of a role that is registered for these. */
async function newSender(fleets: Grant, names: Grant = '*'): Promise<string> {
  const principalId = `AROASENDER${++principals}`;
  await senders.add({ principalId, fleets, profiles: names }, now);
  return principalId;
}

/** As SQS attests a session of the role. */
const from = (principalId: string, deviceId: string, profile = 'device-tls'): QueuedRequest =>
  queue(now, { deviceId, profile }, { senderId: `${principalId}:session-${devices}` });

const ended = (outcomes: readonly Outcome[]): string[] =>
  outcomes.map((outcome) => {
    if (outcome.kind === 'retry') return outcome.error.code;
    return outcome.kind === 'issued' ? 'issued' : outcome.code;
  });

const readsSenders = (command: object): boolean =>
  command instanceof BatchGetItemCommand && tables.senders in (command.input.RequestItems ?? {});

async function row(deviceId: string) {
  const Key = { deviceId: { S: deviceId }, requestId: { S: 'request-1' } };
  return (await store.client.send(new GetItemCommand({ TableName: tables.issuance, Key, ConsistentRead: true }))).Item;
}

describe('in one batch', () => {
  it('each is held to its own registration, whatever its session is called', async () => {
    const [doors, gates, free, all] = [
      await newSender(['doors']),
      await newSender(['gates'], ['registered']),
      'AROANOTREGISTERED',
      await newSender('*'),
    ];
    const device = { doors: await newDevice('doors'), gates: await newDevice('gates'), none: await newDevice() };
    const messages = [
      from(doors, device.doors),
      from(doors, device.gates),
      from(gates, device.gates, 'registered'),
      from(gates, await newDevice('gates')),
      from(free, await newDevice('doors')),
      from(free, await newDevice('doors'), 'registered'),
      from(all, device.none),
      from(doors, await newDevice()),
      from(doors, 'device-of-nobody'),
      from(all, 'device-of-nobody'),
    ];
    expect(ended(await worker.issue(...messages))).toEqual([
      'issued',
      'SENDER_NOT_ALLOWED',
      'issued',
      'SENDER_NOT_ALLOWED',
      'issued',
      'SENDER_NOT_ALLOWED',
      'issued',
      'SENDER_NOT_ALLOWED',
      'SENDER_NOT_ALLOWED',
      'DEVICE_UNKNOWN',
    ]);
  });

  it('the senders are read once, and the refused leave nothing under a device id', async () => {
    const [doors, gates] = [await newSender(['doors']), await newSender(['gates'])];
    const [door, other] = [await newDevice('doors'), await newDevice('doors')];
    const outcomes = await worker.issue(from(doors, door), from(gates, other), from(gates, door));
    expect(ended(outcomes)).toEqual(['issued', 'SENDER_NOT_ALLOWED', 'SENDER_NOT_ALLOWED']);
    const asked = worker.dynamoDB.commands.flatMap((command) =>
      command instanceof BatchGetItemCommand ? (command.input.RequestItems?.[tables.senders]?.Keys ?? []) : [],
    );
    expect(asked).toEqual([{ principalId: { S: doors } }, { principalId: { S: gates } }]);
    expect(await row(other)).toBeUndefined();
    expect(outcomes[1]).toMatchObject({
      detail: `The sender ${gates} is not registered for the fleet doors of the device ${other}.`,
    });
  });
});

it('the row says who sent it, and the records that are shown do', async () => {
  const [doors, deviceId] = [await newSender(['doors']), await newDevice('doors')];
  await worker.issue(from(doors, deviceId));
  expect(await row(deviceId)).toMatchObject({ sender: { S: doors } });
  for await (const { record } of new IssuanceRecords(store.client, tables.issuance).find({ by: 'device', deviceId })) {
    expect(record.sender).toBe(doors);
  }
});

it('a change is seen after a minute', async () => {
  const [doors, deviceId] = [await newSender(['doors']), await newDevice('doors')];
  expect(ended(await worker.issue(from(doors, deviceId)))).toEqual(['issued']);
  await senders.add({ principalId: doors, fleets: ['gates'], profiles: '*' }, now);
  now += minute;
  expect(ended(await worker.issue(from(doors, await newDevice('doors'))))).toEqual(['SENDER_NOT_ALLOWED']);
});

describe('what cannot be read lets nobody in', () => {
  it('the table: tried again', async () => {
    const [doors, deviceId] = [await newSender('*'), await newDevice('doors')];
    worker.dynamoDB.fail(readsSenders, 'not-written');
    const message = from(doors, deviceId);
    expect(ended(await worker.issue(message))).toEqual(['STORE_UNAVAILABLE']);
    expect(await row(deviceId)).toBeUndefined();
    expect(ended(await worker.issue(redelivered(message)))).toEqual(['issued']);
  });

  it('a row: tried again, and nobody else is kept waiting', async () => {
    const [broken, doors] = ['AROABROKEN', await newSender('*')];
    const Item = { principalId: { S: broken }, fleets: { S: 'all' }, profiles: { S: '*' } };
    await store.client.send(new PutItemCommand({ TableName: tables.senders, Item }));
    const [one, other] = [await newDevice('doors'), await newDevice('doors')];
    expect(ended(await worker.issue(from(broken, one), from(doors, other)))).toEqual(['INTERNAL', 'issued']);
    expect(await row(one)).toBeUndefined();
  });
});

describe('an intent', () => {
  /** Recorded and not signed; the worker remembers the sender as it was. */
  async function leaveIntent(profile: string) {
    const [sender, deviceId] = [await newSender(['doors']), await newDevice('doors')];
    const message = from(sender, deviceId, profile);
    worker.signer.faults.push('unavailable');
    await worker.issue(message);
    expect(await row(deviceId)).toMatchObject({ state: { S: 'intent' } });
    return { sender, deviceId, message, calls: worker.signer.calls.length };
  }

  it('of a sender that was removed a moment ago is not signed', async () => {
    const { sender, deviceId, message, calls } = await leaveIntent('registered');
    await senders.remove(sender);
    expect(ended(await worker.issue(redelivered(message)))).toEqual(['SENDER_NOT_ALLOWED']);
    expect(worker.signer.calls).toHaveLength(calls);
    expect(await row(deviceId)).toMatchObject({
      state: { S: 'abandoned' },
      abandonReason: { S: 'given-up' },
    });
  });

  it('of a sender that has another fleet since a moment ago is not signed', async () => {
    const { sender, message, calls } = await leaveIntent('device-tls');
    await senders.add({ principalId: sender, fleets: ['gates'], profiles: '*' }, now);
    expect(ended(await worker.issue(redelivered(message)))).toEqual(['SENDER_NOT_ALLOWED']);
    expect(worker.signer.calls).toHaveLength(calls);
  });

  it('is neither signed nor abandoned while senders cannot be read', async () => {
    const { deviceId, message, calls } = await leaveIntent('registered');
    worker.dynamoDB.fail(readsSenders, 'not-written');
    expect(ended(await worker.issue(redelivered(message)))).toEqual(['STORE_UNAVAILABLE']);
    expect(worker.signer.calls).toHaveLength(calls);
    expect(await row(deviceId)).toMatchObject({ state: { S: 'intent' } });
    expect(ended(await worker.issue(redelivered(message)))).toEqual(['issued']);
  });

  it('without its message is abandoned by reconcile, too', async () => {
    const { sender, deviceId } = await leaveIntent('registered');
    await senders.remove(sender);
    now += 5 * minute;
    const reconciler = startWorker({ tables: store, ca, profiles, now: () => now });
    const { requests } = await reconcile({
      authority: reconciler.authority,
      openIntents: new OpenIntents(store.client, tables.issuance),
      patience: minute,
      firstShard: 0,
      deadline: now + 40_000,
    });
    expect(requests).toContainEqual(
      expect.objectContaining({ deviceId, became: 'abandoned', reason: 'sender-not-allowed' }),
    );
    expect(reconciler.signer.calls).toEqual([]);
  });
});
