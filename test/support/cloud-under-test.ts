import { randomUUID } from 'node:crypto';
import {
  GetQueueAttributesCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import type { LocalCloud } from '../../local/local-cloud.ts';
import { type Fault, writeFaults } from '../../local/pkcs11-shim/faults.ts';
import { type RecordedSignature, readRecord } from '../../local/pkcs11-shim/record.ts';
import { failureClasses } from '../../shared/errors.ts';
import type { Failure } from '../../shared/ledger/failures.ts';
import { keyOf, type StandingRow } from '../../shared/ledger/issuance.ts';
import type { IssuedRow, RejectedRow, RequestKey } from '../../shared/ledger/row.ts';
import { until } from './embedded-until.ts';

/** A request as it is enqueued; `profile` is device-tls unless told otherwise. */
export interface TestRequest extends RequestKey {
  readonly csr: string;
  readonly profile?: string;
}

/** What SQS allows in one batch. */
const batchSize = 10;

/** A local cloud with what tests ask of any of them. */
export class CloudUnderTest<Local extends LocalCloud = LocalCloud> {
  readonly local: Local;

  constructor(local: Local) {
    this.local = local;
  }

  stop(): Promise<void> {
    return this.local.stop();
  }

  /** As embedded-until.ts; a cloud that died meanwhile is said to have. */
  until<T>(
    look: () => T | undefined | false | Promise<T | undefined | false>,
    what: string,
    limit?: number,
  ): Promise<T> {
    const died = this.local.cloud.died.then((error) => Promise.reject(error));
    return Promise.race([until(look, what, limit), died]);
  }

  /** Registers an active device of a new name. */
  async newDevice(name: string, allowedSenders?: readonly string[]): Promise<string> {
    const deviceId = `${name}-${randomUUID().slice(0, 8)}`;
    await this.local.devices.register({
      deviceId,
      state: 'active',
      ...(allowedSenders === undefined ? {} : { allowedSenders }),
    });
    return deviceId;
  }

  /** @returns SQS's message id */
  async send(body: string, client: SQSClient = this.local.clients.sqs): Promise<string> {
    const command = new SendMessageCommand({ QueueUrl: this.local.requestsQueueUrl, MessageBody: body });
    return (await client.send(command)).MessageId ?? '';
  }

  request(request: TestRequest, client?: SQSClient): Promise<string> {
    return this.send(bodyOf(request), client);
  }

  /** Together, as many in one call as SQS takes. @returns SQS's message ids, in the order of the bodies */
  async sendAll(bodies: readonly string[]): Promise<string[]> {
    const messageIds: string[] = [];
    for (let start = 0; start < bodies.length; start += batchSize) {
      const command = new SendMessageBatchCommand({
        QueueUrl: this.local.requestsQueueUrl,
        Entries: bodies
          .slice(start, start + batchSize)
          .map((body, index) => ({ Id: String(index), MessageBody: body })),
      });
      const { Successful: sent = [], Failed: failed = [] } = await this.local.clients.sqs.send(command);
      if (failed.length > 0) throw new Error(`SQS refused a message: ${failed[0]?.Message}`);
      const byId = new Map(sent.map((entry) => [entry.Id, entry.MessageId ?? '']));
      messageIds.push(...[...byId.keys()].sort().map((id) => byId.get(id) ?? ''));
    }
    return messageIds;
  }

  async row(key: RequestKey): Promise<StandingRow | undefined> {
    return (await this.local.ledger.read([key])).get(keyOf(key));
  }

  issued(key: RequestKey, limit?: number): Promise<IssuedRow> {
    const look = async () => {
      const row = await this.row(key);
      if (row?.state === 'rejected') throw new Error(`${keyOf(key)} was rejected: ${row.code}: ${row.detail}`);
      return row?.state === 'issued' && row;
    };
    return this.until(look, `certificate of ${keyOf(key)}`, limit);
  }

  rejected(key: RequestKey): Promise<RejectedRow> {
    const look = async () => {
      const row = await this.row(key);
      return row?.state === 'rejected' && row;
    };
    return this.until(look, `rejection of ${keyOf(key)}`);
  }

  /** The row in `failures`, of whatever class. */
  failure(messageId: string, limit?: number): Promise<Failure> {
    const look = async () => (await this.failures()).find((failure) => failure.messageId === messageId);
    return this.until(look, `failure of message ${messageId}`, limit);
  }

  /** Today's and yesterday's (UTC): a test may run at midnight. */
  async failures(): Promise<Failure[]> {
    const now = Date.now();
    const days = [now, now - 86_400_000].map((time) => new Date(time).toISOString().slice(0, 10));
    const lists = failureClasses.flatMap((name) => days.map((day) => this.local.failures.list(name, day)));
    return (await Promise.all(lists)).flat();
  }

  /** The messages in the queue of this logical id: to be delivered (now or later), and delivered but not done. */
  async messages(logicalId = 'RequestsQueue'): Promise<{ readonly waiting: number; readonly inFlight: number }> {
    const command = new GetQueueAttributesCommand({
      QueueUrl: this.local.cloud.resources[logicalId]?.ref,
      AttributeNames: ['All'],
    });
    const { Attributes: attributes = {} } = await this.local.clients.sqs.send(command);
    return {
      waiting: Number(attributes.ApproximateNumberOfMessages) + Number(attributes.ApproximateNumberOfMessagesDelayed),
      inFlight: Number(attributes.ApproximateNumberOfMessagesNotVisible),
    };
  }

  /** Resolves when the queue of this logical id holds no message. */
  async drained(logicalId = 'RequestsQueue', limit?: number): Promise<void> {
    const isEmpty = async () => {
      const { waiting, inFlight } = await this.messages(logicalId);
      return waiting === 0 && inFlight === 0;
    };
    await this.until(isEmpty, `empty ${logicalId}`, limit);
  }

  /** What goes wrong with the HSM from now on. */
  faults(...faults: readonly Fault[]): void {
    writeFaults(this.local.shim.faults, faults);
  }

  signatures(): RecordedSignature[] {
    return readRecord(this.local.shim.record);
  }

  /** The stub's own API (local/stub/README.md). */
  async drill(path: string, body: unknown): Promise<void> {
    const answer = await fetch(`${this.local.stubEndpoint}/_stub/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`The stub refuses ${path}: ${await answer.text()}`);
  }
}

export function bodyOf({ deviceId, requestId, csr, profile = 'device-tls' }: TestRequest): string {
  return JSON.stringify({ version: 1, requestId, deviceId, profile, csr });
}

/** How a delivery ended, as the issue function logs it (functions/issue.ts, record-failure.ts). */
export interface LoggedEnd {
  readonly message: 'issued' | 'rejected' | 'failed' | 'retry';
  readonly messageId: string;
  readonly receiveCount?: number;
  readonly serialNumber?: string;
  readonly code?: string;
  readonly detail?: string;
}

/** In one line of a function's log. */
export function endIn(text: string): LoggedEnd | undefined {
  if (!text.startsWith('{')) return undefined;
  const line = JSON.parse(text) as Partial<LoggedEnd>;
  const { message, messageId } = line;
  if (messageId === undefined || message === undefined) return undefined;
  if (!['issued', 'rejected', 'failed', 'retry'].includes(message)) return undefined;
  return { ...line, message, messageId };
}
