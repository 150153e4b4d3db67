import { ConditionalCheckFailedException, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { expect, it } from 'vitest';
import { type BreakerRecord, Breakers } from '../../shared/breaker/index.ts';
import { boundaryReport } from '../drills/crash.ts';
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
  const record: BreakerRecord = {
    issuerId: 'devices',
    state: 'closed',
    revision: 3,
    failures: 1,
    probesLeft: 1,
    held: false,
    untold: [],
  };
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

it('tells a row of issuers from its breaker, and writes of one table by the state that they are to', () => {
  const read = (issuerId: string) =>
    stepOf(call('dynamodb', 'GetItem', { TableName: 'mintmark-local-issuers', Key: { issuerId: { S: issuerId } } }));
  expect([read('devices'), read('#breaker#devices')]).toEqual(['read the issuer', 'read the breaker']);
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
