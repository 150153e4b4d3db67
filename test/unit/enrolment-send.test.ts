import { SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs';
import { describe, expect, it } from 'vitest';
import { isFleetName, sendRequests } from '../../shared/enrolment/index.ts';

/** A client whose every batch is taken; the entries that it was given. */
function takingClient() {
  const entries: object[] = [];
  const client = new SQSClient({ region: 'eu-west-1' });
  client.send = (async (command: unknown) => {
    if (!(command instanceof SendMessageBatchCommand)) throw new Error('Only batches are sent.');
    const { Entries = [] } = command.input;
    entries.push(...Entries);
    return { Successful: Entries.map(({ Id }) => ({ Id, MessageId: `message-${Id}` })), Failed: [] };
  }) as typeof client.send;
  return { client, entries };
}

const requests = Array.from({ length: 12 }, (_, index) => ({
  deviceId: `device-${index}`,
  requestId: 'request-1',
  profile: 'device-tls',
  csr: 'MIIB',
}));

describe('sendRequests', () => {
  it('names the fleet as the group of every message, of every batch', async () => {
    const { client, entries } = takingClient();
    await sendRequests(client, 'https://sqs.example/queue', requests, { fleet: 'doors-north' });
    expect(entries).toHaveLength(requests.length);
    for (const entry of entries) expect(entry).toMatchObject({ MessageGroupId: 'doors-north' });
  });

  it('names no group where no fleet is named', async () => {
    const { client, entries } = takingClient();
    await sendRequests(client, 'https://sqs.example/queue', requests);
    expect(entries).toHaveLength(requests.length);
    for (const entry of entries) expect(entry).not.toHaveProperty('MessageGroupId');
  });
});

it.each([
  ['a', true],
  ['doors-north/2026!', true],
  ['x'.repeat(128), true],
  ['', false],
  ['x'.repeat(129), false],
  ['two words', false],
  ['Türen', false],
  ['line\nbreak', false],
])('%j is a name for a fleet: %s', (name, isOne) => {
  expect(isFleetName(name)).toBe(isOne);
});
