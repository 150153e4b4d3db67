import { createPublicKey, type KeyObject } from 'node:crypto';
import { SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import type { LocalCloud } from '../../local/local-cloud.ts';
import type { RequestKey } from '../../shared/ledger/index.ts';
import { bodyOf } from '../support/cloud-under-test.ts';
import { makeRequest, newPrivateKey } from '../support/csr.ts';

/** A request of a device of its own. */
export interface FleetRequest extends RequestKey {
  readonly publicKey: KeyObject;
  /** Of the message. */
  readonly body: string;
}

/** What SQS allows in one batch. */
export const maximumBatch = 10;

/** How many devices are registered at a time. */
const registrations = 20;

const commonName = '2.5.4.3';

/** Requests of devices that nobody has registered. @param name goes before each device's number */
export function makeRequests(name: string, count: number, profile?: string): FleetRequest[] {
  return Array.from({ length: count }, (_, index): FleetRequest => {
    const deviceId = `${name}-${String(index).padStart(5, '0')}`;
    const privateKey = newPrivateKey();
    const csr = Buffer.from(makeRequest(privateKey, { subject: [[commonName, deviceId]] })).toString('base64');
    const key = { deviceId, requestId: 'first' };
    const body = bodyOf({ ...key, csr, ...(profile === undefined ? {} : { profile }) });
    return { ...key, publicKey: createPublicKey(privateKey), body };
  });
}

/** Registers that many new devices, each with a key and a request. @param name goes before each device's number */
export async function makeFleet(local: LocalCloud, name: string, count: number): Promise<FleetRequest[]> {
  const requests = makeRequests(name, count);
  for (let start = 0; start < requests.length; start += registrations) {
    const group = requests.slice(start, start + registrations);
    await Promise.all(group.map(({ deviceId }) => local.devices.register({ deviceId, state: 'active' })));
  }
  return requests;
}

/** Sends them, as many in one call as SQS takes, in their order. */
export async function sendAll(local: LocalCloud, requests: readonly FleetRequest[]): Promise<void> {
  for (let start = 0; start < requests.length; start += maximumBatch) {
    const command = new SendMessageBatchCommand({
      QueueUrl: local.requestsQueueUrl,
      Entries: requests
        .slice(start, start + maximumBatch)
        .map(({ body }, index) => ({ Id: String(index), MessageBody: body })),
    });
    const { Failed: failed = [] } = await local.clients.sqs.send(command);
    if (failed.length > 0) throw new Error(`SQS refused a message: ${failed[0]?.Message}`);
  }
}
