import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failureClasses } from '../../shared/errors.ts';
import { type FailureRecord, FailureRecords } from '../../shared/ledger/failure-records.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { bodyOf, TestCloud } from '../support/embedded-cloud.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const command = fileURLToPath(new URL('../../local/setup/mintmark.mjs', import.meta.url));
const key = generateEcKey('P-256');
const home = temporaryFolder('failures');

let cloud: TestCloud;
beforeAll(async () => {
  // Given up by age after 3 s; a message whose function dies is visible again after 4 s, and a dead letter after the second.
  cloud = await TestCloud.start({
    giveUpAfterSeconds: '3',
    issueConcurrency: '1',
    visibilityTimeout: '4',
    maxReceiveCount: '2',
  });
});
afterAll(() => cloud?.stop());

/** The command as an operator of another identity than the fleet's sends it. */
async function mintmark(...args: readonly string[]): Promise<{ readonly code: number; readonly value: unknown }> {
  const child = spawn(process.execPath, [command, 'failures', ...args, '--json'], {
    env: {
      PATH: process.env['PATH'],
      HOME: home,
      AWS_EC2_METADATA_DISABLED: 'true',
      ...cloud.local.cloud.environment,
      AWS_ACCESS_KEY_ID: 'REDRIVINGOPERATOR',
    },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return { code: code as number, value: JSON.parse(stdout) as unknown };
}

async function newRequest(name: string, allowedSenders?: readonly string[]) {
  const deviceId = await cloud.newDevice(name, allowedSenders);
  return { deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) };
}

/** All rows with this body: of the message as it was first sent, and of those that it was sent again as. */
async function rowsOf(body: string): Promise<FailureRecord[]> {
  const now = Date.now();
  const days = [now, now - 86_400_000].map((time) => new Date(time).toISOString().slice(0, 10));
  const table = cloud.local.cloud.resources['FailuresTable']?.ref ?? '';
  const found: FailureRecord[] = [];
  for await (const { failure } of new FailureRecords(cloud.local.clients.dynamoDB, table).find(failureClasses, days)) {
    if (failure.body === body) found.push(failure);
  }
  return found.toSorted((one, other) => one.redriveCount - other.redriveCount);
}

const rows = (body: string, count: number): Promise<FailureRecord[]> =>
  cloud.until(
    async () => {
      const found = await rowsOf(body);
      return found.length === count && found;
    },
    `${count} rows`,
    60_000,
  );

describe('failures redrive', () => {
  it('a request that was given up is issued when the HSM is back; again, it is not sent', async () => {
    const request = await newRequest('given-up');
    cloud.faults({ fault: 'busy', count: -1 });
    const messageId = await cloud.request(request, cloud.sender('FLEETSENDER'));
    // Whatever its last try met: a machine that is busy adds troubles of its own.
    const { failureClass } = await cloud.failure(messageId);
    cloud.faults();

    expect(await mintmark('redrive', messageId, '--dry-run')).toMatchObject({
      code: 0,
      value: { sendable: 1, redriven: [] },
    });
    expect(await cloud.messages('RedriveQueue')).toEqual({ waiting: 0, inFlight: 0 });
    const redriven = await mintmark('redrive', '--class', failureClass);
    expect(redriven).toMatchObject({ code: 0, value: { redriven: [{ messageId }], open: 0 } });
    await cloud.issued(request);
    expect(await rows(bodyOf(request), 1)).toMatchObject([{ state: 'redriven', sender: 'FLEETSENDER' }]);

    expect(await mintmark('redrive', messageId)).toMatchObject({
      code: 0,
      value: { redriven: [], left: { redriven: 1 }, open: 0 },
    });
    expect(await mintmark('dismiss', messageId, '--reason', 'late')).toMatchObject({
      code: 0,
      value: { failures: [], left: { redriven: 1 } },
    });
    expect(await mintmark('show', messageId)).toMatchObject({
      value: { failure: { state: 'redriven' }, outcomes: [{ status: 'issued', serialNumber: expect.any(String) }] },
    });
  });

  it('one whose sender may not enrol the device is refused again, whoever redrives it', async () => {
    const request = await newRequest('not-allowed', ['REDRIVINGOPERATOR']);
    const messageId = await cloud.request(request, cloud.sender('STRANGER'));
    await cloud.failure(messageId);
    expect(await mintmark('redrive', messageId)).toMatchObject({ code: 0, value: { redriven: [{ messageId }] } });
    const [first, second] = await rows(bodyOf(request), 2);
    expect(first).toMatchObject({ state: 'redriven', redrivenAs: second?.messageId });
    expect(second).toMatchObject({
      code: 'SENDER_NOT_ALLOWED',
      state: 'failed',
      sender: 'STRANGER',
      resentBy: 'REDRIVINGOPERATOR',
      originalMessageId: messageId,
      redriveCount: 1,
    });
    expect(await cloud.row(request)).toBeUndefined();

    expect(await mintmark('show', messageId)).toMatchObject({
      value: { outcomes: [{ messageId: second?.messageId, status: 'failed', code: 'SENDER_NOT_ALLOWED' }] },
    });

    const other = ['--class', 'crashed', '--class', 'bug'];
    expect(await mintmark('redrive', second?.messageId ?? '', ...other)).toMatchObject({
      code: 1,
      value: { redriven: [], unknown: [], leftOut: [expect.stringContaining('is of the class unauthorised')] },
    });
    // Its device is what the message says.
    const named = ['--device', request.deviceId, '--sender', 'STRANGER', '--state', 'failed', '--state', 'dismissed'];
    expect(await mintmark('list', ...named)).toMatchObject({
      value: {
        failures: [{ messageId: second?.messageId, statedDeviceId: request.deviceId }],
        totals: [{ class: 'unauthorised', code: 'SENDER_NOT_ALLOWED', count: 1 }],
        total: 1,
      },
    });
    const ofTheDevice = ['--code', 'sender_not_allowed', '--device', request.deviceId, '--reason', 'not ours'];
    expect(await mintmark('dismiss', ...ofTheDevice, '--dry-run')).toMatchObject({
      code: 0,
      value: { messageIds: [second?.messageId], byCode: [{ count: 1 }], failures: [] },
    });
    expect(await mintmark('dismiss', ...ofTheDevice)).toMatchObject({
      code: 0,
      value: { failures: [{ messageId: second?.messageId, state: 'dismissed' }] },
    });
    expect(await mintmark('dismiss', second?.messageId ?? '', '--reason', 'another')).toMatchObject({
      code: 0,
      value: { failures: [], left: { dismissed: 1 } },
    });
    expect(await mintmark('redrive', second?.messageId ?? '')).toMatchObject({
      code: 0,
      value: { left: { dismissed: 1 } },
    });
    expect(await mintmark('show', second?.messageId ?? '')).toMatchObject({
      value: { failure: { state: 'dismissed', dismissReason: 'not ours', originalMessageId: messageId } },
    });
    expect(await mintmark('list', '--state', 'dismissed')).toMatchObject({
      value: { failures: [{ messageId: second?.messageId }] },
    });
  });

  it('attributes of a redrive on a message of the requests queue change nothing', async () => {
    const request = await newRequest('forged', ['VICTIM']);
    const MessageAttributes = Object.fromEntries(
      Object.entries({ originalSenderId: 'VICTIM', originalMessageId: 'x', redriveCount: '1' }).map(
        ([name, StringValue]) => [name, { DataType: 'String', StringValue }],
      ),
    );
    const send = new SendMessageCommand({
      QueueUrl: cloud.local.requestsQueueUrl,
      MessageBody: bodyOf(request),
      MessageAttributes,
    });
    const { MessageId: messageId = '' } = await cloud.sender('FORGER').send(send);
    expect(await cloud.failure(messageId)).toMatchObject({ code: 'SENDER_NOT_ALLOWED', sender: 'FORGER' });
    expect((await rows(bodyOf(request), 1))[0]).toMatchObject({ redriveCount: 0, originalMessageId: undefined });
  });

  it('a redriven message that kills its function is a dead letter of its first sender', async () => {
    const request = await newRequest('killer');
    cloud.faults({ fault: 'crash-before-sign', count: -1 });
    const messageId = await cloud.request(request, cloud.sender('FLEETSENDER'));
    await cloud.failure(messageId, 60_000);
    expect(await mintmark('redrive', messageId)).toMatchObject({ code: 0, value: { redriven: [{ messageId }] } });
    const [first, second] = await rows(bodyOf(request), 2);
    cloud.faults();
    expect([first?.code, second?.code]).toEqual(['MESSAGE_KILLED_FUNCTION', 'MESSAGE_KILLED_FUNCTION']);
    expect(second).toMatchObject({
      sender: 'FLEETSENDER',
      resentBy: 'REDRIVINGOPERATOR',
      originalMessageId: messageId,
      redriveCount: 1,
      sentAt: first?.sentAt,
      firstFailedAt: first?.firstFailedAt,
    });

    expect(await mintmark('redrive', second?.messageId ?? '')).toMatchObject({ code: 0 });
    await cloud.issued(request);
  });

  it.each([
    ['nothing that says which', ['redrive']],
    ['a rate of none', ['redrive', 'x', '--rate', '0']],
    ['no reason', ['dismiss', 'x']],
    ['nothing that says which, to dismiss', ['dismiss', '--reason', 'x']],
    ['a code that is none', ['list', '--code', 'NOPE']],
  ])('%s is wrong use', async (_, args) => {
    expect((await mintmark(...args)).code).toBe(2);
  });

  it.each([['redrive'], ['dismiss']])('%s of what is not there: exit 1', async (name) => {
    const args = name === 'dismiss' ? ['--reason', 'x'] : [];
    expect(await mintmark(name, 'nowhere', ...args)).toMatchObject({ code: 1, value: { unknown: ['nowhere'] } });
  });
});
