import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { SNSClient } from '@aws-sdk/client-sns';
import { beforeEach, describe, expect, it } from 'vitest';
import { Breakers } from '../../shared/breaker/breakers.ts';
import { check } from '../../shared/breaker/check.ts';
import type { Canary } from '../../shared/breaker/decide.ts';
import { breakerKey } from '../../shared/breaker/record.ts';
import type { Item } from '../../shared/ledger/attributes.ts';

/** A look of check-signer at a table of the test's; every call to AWS is written down, and may fail. */

const start = Date.parse('2026-11-22T12:00:00Z');

let rows: Item[];
let calls: { readonly name: string; readonly input: object }[];
let mappingState: string;
let errors: unknown[];
let events: string[];
let fails: (name: string) => boolean;

beforeEach(() => {
  rows = [];
  calls = [];
  mappingState = 'Enabled';
  errors = [];
  events = [];
  fails = () => false;
});

/** A client whose commands are answered by name; of its class, since paginators look at that. */
const clientOf = <Client extends object>(
  { prototype }: { readonly prototype: Client },
  answers: Readonly<Record<string, object>>,
): Client =>
  Object.assign(Object.create(prototype) as Client, {
    send: async (command: { readonly input: object }) => {
      const { name } = command.constructor;
      calls.push({ name, input: command.input });
      events.push(name);
      if (fails(name)) throw Object.assign(new Error('socket hang up'), { name: 'TimeoutError' });
      return answers[name] ?? {};
    },
  });

async function look(canary: Canary = 'fails', now = start) {
  const written = rows.find(({ issuerId }) => issuerId?.S?.startsWith('#breaker#'));
  const dynamoDB = clientOf(DynamoDBClient, {
    ScanCommand: { Items: rows },
    GetItemCommand: { Item: written },
    UpdateItemCommand: { Attributes: written },
  });
  return check({
    dynamoDB,
    lambda: clientOf(LambdaClient, {
      ListEventSourceMappingsCommand: {
        EventSourceMappings: [{ UUID: 'mapping', EventSourceArn: 'arn', State: mappingState }],
      },
    }),
    sns: clientOf(SNSClient, {}),
    issuersTable: 'issuers',
    breakers: new Breakers(dynamoDB, 'issuers'),
    functionName: 'issue',
    topicArn: 'arn:aws:sns:eu-central-1:111122223333:operations',
    canaryOf: async () => canary,
    waits: async () => true,
    checkSignerSeconds: 60,
    now: () => now,
    on: {
      step: (issuerId, step) => events.push(`${issuerId}: ${step}`),
      mapping: ({ to }) => events.push(to),
      told: ({ type, revision }) => events.push(`${type} ${revision}`),
      error: (error) => errors.push(error),
    },
  });
}

const issuer = (issuerId: string): Item => ({
  issuerId: { S: issuerId },
  state: { S: 'active' },
  signerUri: { S: 'pkcs11:object=ca' },
});
const breaker = (issuerId: string, over: Item): Item => ({
  issuerId: { S: breakerKey(issuerId) },
  state: { S: 'open' },
  revision: { N: '3' },
  held: { BOOL: false },
  since: { S: new Date(start).toISOString() },
  ...over,
});
const broken = (issuerId: string): Item => ({ issuerId: { S: breakerKey(issuerId) }, state: { S: 'open' } });
const namesOf = (): string[] => calls.map(({ name }) => name);

describe('a look', () => {
  it('at a breaker that cannot be read decides nothing for it, goes on with the others, and says so', async () => {
    rows = [issuer('a'), broken('a'), issuer('b'), breaker('b', {}), issuer('c')];
    const { breakers, unreadable } = await look();
    expect(breakers.map(({ issuerId, state }) => `${issuerId} ${state}`)).toEqual(['b open', 'c closed']);
    expect(unreadable).toEqual(['a']);
    expect(events).toContain('b: leave');
    expect(events.filter((event) => event.startsWith('a'))).toEqual([]);
    expect(errors).toEqual([
      expect.objectContaining({ code: 'INTERNAL', message: expect.stringContaining('The row #breaker#a') }),
    ]);
  });

  it('pauses the mappings when every breaker is open, and not while one cannot be read: it may be closed', async () => {
    rows = [issuer('a'), breaker('a', {})];
    await look();
    expect(events).toContain('paused');
    events = [];
    rows.push(issuer('b'), broken('b'));
    await look();
    expect(events).not.toContain('paused');
  });

  it('resumes what it paused when a batch is to try by itself, whatever the canary says: it may be the broken one', async () => {
    rows = [issuer('a'), breaker('a', {}), { issuerId: { S: '#mappings' }, paused: { SS: ['mapping'] } }];
    mappingState = 'Disabled';
    const quarter = 15 * 60_000;
    await look('fails', start + quarter);
    expect(events).not.toContain('resumed');
    await look('fails', start + quarter + 1);
    expect(events).toContain('resumed');
    const [update] = calls.filter(({ name }) => name === 'UpdateEventSourceMappingCommand');
    expect(update?.input).toEqual({ UUID: 'mapping', Enabled: true });
  });

  it('lets one batch try where a PIN is in doubt, and three where none is', async () => {
    const probes = async (over: Item) => {
      calls = [];
      rows = [issuer('a'), breaker('a', over)];
      await look('signs');
      return calls.find(({ name }) => name === 'UpdateItemCommand')?.input;
    };
    const given = (count: string) => ({ ExpressionAttributeValues: { ':probes': { N: count } } });
    expect(await probes({})).toMatchObject(given('3'));
    expect(await probes({ pinDoubtful: { BOOL: true } })).toMatchObject(given('1'));
  });

  it('reads the breakers of retired issuers, and of none, as nothing', async () => {
    rows = [{ ...issuer('a'), state: { S: 'retired' } }, broken('a'), broken('gone')];
    expect(await look()).toMatchObject({ breakers: [], unreadable: [] });
    expect(errors).toEqual([]);
  });

  const untold: Item = {
    untold: {
      L: [
        {
          M: {
            from: { S: 'closed' },
            to: { S: 'open' },
            held: { BOOL: false },
            revision: { N: '3' },
            at: { S: new Date(start).toISOString() },
          },
        },
      ],
    },
  };

  it('tells of a change before it takes it off the record, so that it is told again rather than never', async () => {
    rows = [issuer('a'), breaker('a', untold)];
    fails = (name) => name === 'UpdateItemCommand';
    await look();
    expect(events.filter((event) => /Publish|breaker\.|UpdateItem/.test(event)).slice(-3)).toEqual([
      'PublishCommand',
      'breaker.opened 3',
      'UpdateItemCommand',
    ]);
    expect(errors).toContainEqual(expect.objectContaining({ code: 'STORE_UNAVAILABLE' }));
  });

  it('does not tell, nor count, what was not published', async () => {
    rows = [issuer('a'), breaker('a', { ...untold, held: { BOOL: true } })];
    mappingState = 'Disabled';
    fails = (name) => name === 'PublishCommand';
    await look();
    expect(events).not.toContain('breaker.opened 3');
    expect(namesOf()).not.toContain('UpdateItemCommand');
    expect(errors).toHaveLength(1);
  });

  it('gives an operator one probe again, and not three', async () => {
    const exhausted = { state: { S: 'half-open' }, probesLeft: { N: '0' }, triedBy: { S: 'operator' } };
    rows = [issuer('a'), breaker('a', exhausted)];
    await look('signs');
    expect(events).toContain('a: give-probes');
    const [update] = calls.filter(({ name }) => name === 'UpdateItemCommand');
    expect(update?.input).toMatchObject({ ExpressionAttributeValues: { ':probes': { N: '1' } } });
  });
});
