import { ConditionalCheckFailedException, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { expect, it } from 'vitest';
import type { ApiCall } from '../../local/embedded/api-call.ts';
import type { Answer } from '../../local/embedded/aws-error.ts';
import { SeededRandom } from '../../local/embedded/seeded-random.ts';
import { Breakers } from '../../shared/breaker/index.ts';
import { absentRecord, type BreakerRecord } from '../../shared/breaker/record.ts';
import { boundaryReport, killPlan } from '../drills/crash.ts';
import { BoundaryKills, signatureKills } from '../drills/kills.ts';
import { callSteps, stepOf } from '../drills/steps.ts';

const call = (service: string, operation: string, body: object | string) => ({
  service,
  operation,
  request: {
    method: 'POST',
    url: '/',
    headers: {},
    body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    accessKeyId: undefined,
  },
});

it('names the boundaries at which nothing was killed', () => {
  const killed = new Map([
    ['before sign', 2],
    ['after sign', 0],
    ['after read the rows', 1],
    ['before sqs DeleteMessage', 1],
  ] as const);
  expect(boundaryReport(['read the rows', 'sign'], killed)).toEqual({
    lines: [
      '  0 before, 1 after: read the rows',
      '  2 before, 0 after: sign',
      '  1 before, 0 after: sqs DeleteMessage',
    ],
    missed: ['before read the rows', 'after sign'],
  });
});

it('lists a step without a kill once, under what was missed', () => {
  const killed = new Map([
    ['before sign', 0],
    ['before checkSigner: lambda GET', 0],
  ] as const);
  expect(boundaryReport(['sign'], killed)).toEqual({ lines: [], missed: ['before sign', 'after sign'] });
});

it('demands a kill at every boundary of a run that is large enough for it alone', () => {
  expect(killPlan('embedded', 500)).toMatchObject({ share: 1, eachSignature: 15, limit: Infinity, mustHitAll: true });
  expect(killPlan('embedded', 399)).toMatchObject({ mustHitAll: false, limit: 120 });
  expect(killPlan('localstack', 100)).toMatchObject({ eachSignature: 3, mustHitAll: true });
  expect(killPlan('localstack', 20)).toMatchObject({ eachSignature: 1, mustHitAll: false });
});

it.each([1, 20, 60, 100])(
  'leaves a boundary of the signature out in one of a thousand drills of %d requests',
  (requests) => {
    const faults = signatureKills(1, requests, SeededRandom.of(1));
    expect(faults.map(({ fault }) => fault)).toEqual(['crash-before-sign', 'crash-after-sign']);
    for (const { chance } of faults) expect((1 - (chance?.probability ?? 0)) ** requests).toBeLessThan(0.0011);
  },
);

it('kills at a share of the boundaries that the seed decides, the late ones too', async () => {
  const steps = ['BatchGetItem', 'GetItem', 'UpdateItem', 'Query', 'Scan', 'PutItem', 'DeleteItem', 'BatchWriteItem'];
  const answer = {} as Answer;
  const killed = async (share: number): Promise<number> => {
    let kills = 0;
    const boundaries = new BoundaryKills({ function: 'issue', share, each: 1, limit: 100, random: SeededRandom.of(3) });
    const caller = {
      function: 'issue',
      kill: () => {
        kills += 1;
        return Promise.resolve();
      },
    };
    for (const operation of [...steps, ...steps]) {
      const asked = { ...call('dynamodb', operation, { TableName: 'any' }), caller } as unknown as ApiCall;
      await boundaries.around(asked, () => Promise.resolve(answer));
    }
    return kills;
  };
  // Before and after each of them; it comes to the second once it was not killed at the first.
  expect(await killed(1)).toBe(2 * steps.length);
  expect(await killed(0)).toBe(0);
  const some = await killed(0.25);
  expect(some).toBeGreaterThan(0);
  expect(some).toBeLessThan(steps.length);
});

/** What a client that carries nothing out is asked for, as steps. */
async function stepsAsked(ask: (client: DynamoDBClient) => Promise<unknown>): Promise<string[]> {
  const client = new DynamoDBClient({ region: 'eu-central-1' });
  const asked: string[] = [];
  client.send = ((command: { readonly constructor: { readonly name: string }; readonly input: object }) => {
    asked.push(stepOf(call('dynamodb', command.constructor.name.replace(/Command$/, ''), command.input)));
    return Promise.reject(new ConditionalCheckFailedException({ message: '', $metadata: {} }));
  }) as typeof client.send;
  await ask(client);
  return asked;
}

it("tells a breaker's changes from each other", async () => {
  const record: BreakerRecord = { ...absentRecord('devices'), revision: 3, failures: 1, probesLeft: 1 };
  const why = { reason: 'SIGNER_UNAVAILABLE', detail: 'gone' } as const;
  const asked = await stepsAsked(async (client) => {
    const breakers = new Breakers(client, 'mintmark-local-issuers');
    await breakers.countFailure(record, 'batch');
    await breakers.forgetFailures(record);
    await breakers.open(record, why, 3, 1_000);
    await breakers.takeProbe({ ...record, state: 'half-open' }, 1_000);
    await breakers.close({ ...record, state: 'half-open' }, 1_000);
  });
  expect(asked).toEqual([
    'count a failure of the signer',
    'forget its failures',
    'open the breaker',
    'take a probe of the breaker',
    'close the breaker',
  ]);
});

it('tells a row of issuers from its breaker and its name, and writes of one table by the state that they are to', () => {
  const read = (issuerId: string) =>
    stepOf(call('dynamodb', 'GetItem', { TableName: 'mintmark-local-issuers', Key: { issuerId: { S: issuerId } } }));
  expect(['devices', '#breaker#devices', '#issuing#devices'].map(read)).toEqual([
    'read the issuer',
    'read the breaker',
    'read the name of the issuer',
  ]);
  const update = (state: string) =>
    stepOf(
      call('dynamodb', 'UpdateItem', {
        TableName: 'mintmark-local-issuance',
        ExpressionAttributeValues: { ':to': { S: state } },
      }),
    );
  expect(['intent', 'issued', 'abandoned'].map(update)).toEqual([
    'record the intent',
    'store the certificate',
    'abandon the intent',
  ]);
});

it('names by its operation what is in no list', () => {
  const found = [
    stepOf(call('dynamodb', 'PutItem', { TableName: 'mintmark-local-devices' })),
    stepOf(call('sns', 'Publish', 'Action=Publish')),
  ];
  expect(found).toEqual(['dynamodb PutItem mintmark-local-devices', 'sns Publish']);
  for (const name of found) expect(callSteps).not.toContain(name);
});
