import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startFauxqs } from '../../local/embedded/emulators.ts';
import { forwardToEmulator } from '../../local/embedded/forward.ts';
import { type Gateway, startGateway } from '../../local/embedded/gateway.ts';
import { sendRequests } from '../../shared/enrolment/index.ts';

const region = 'eu-west-1';
let fauxqs: Awaited<ReturnType<typeof startFauxqs>>;
let emulator: Gateway;
let sqs: SQSClient;

beforeAll(async () => {
  fauxqs = await startFauxqs(region);
  emulator = await startGateway(new Map([['sqs', forwardToEmulator(fauxqs)]]));
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  sqs = new SQSClient({ region, endpoint: emulator.endpoint, credentials, useQueueUrlAsEndpoint: false });
});

afterAll(async () => {
  sqs.destroy();
  await fauxqs.close();
  await emulator.close();
});

/** docs/capacity.md says so; LocalStack hands it on (test/integration/localstack-lambda.test.ts). */
it("fauxqs takes a standard queue's message that names a fleet, and forgets the fleet", async () => {
  const { QueueUrl: url = '' } = await sqs.send(new CreateQueueCommand({ QueueName: 'requests' }));
  const request = { deviceId: 'door-7', requestId: 'request-1', profile: 'device-tls', csr: 'MIIB' };
  const [sent] = await sendRequests(sqs, url, [request], { fleet: 'doors-north' });
  const { Messages: [received] = [] } = await sqs.send(
    new ReceiveMessageCommand({ QueueUrl: url, MessageSystemAttributeNames: ['All'], WaitTimeSeconds: 5 }),
  );
  expect(received?.MessageId).toBe(sent?.messageId);
  expect(received?.Attributes).toHaveProperty('SentTimestamp');
  expect(received?.Attributes).not.toHaveProperty('MessageGroupId');
});
