import { randomUUID } from 'node:crypto';
import { GetQueueAttributesCommand, SendMessageBatchCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { type LocalCloud, startLocalCloud } from '../../local/local-cloud.ts';
import { type Fault, writeFaults } from '../../local/pkcs11-shim/faults.ts';
import { type RecordedSignature, readRecord } from '../../local/pkcs11-shim/record.ts';
import { failureClasses } from '../../shared/errors.ts';
import type { Failure } from '../../shared/ledger/failures.ts';
import { keyOf, type StandingRow } from '../../shared/ledger/issuance.ts';
import type { IssuedRow, RejectedRow, RequestKey } from '../../shared/ledger/row.ts';
import { until } from './embedded-until.ts';

/** How a delivery ended, as the issue function logs it (functions/issue.ts, record-failure.ts). */
export interface LoggedOutcome {
  readonly message: 'issued' | 'rejected' | 'failed' | 'retry';
  readonly messageId: string;
  readonly receiveCount?: number;
  readonly serialNumber?: string;
  readonly code?: string;
  readonly detail?: string;
  /** Logical id of the function, and its process. */
  readonly function: string;
  readonly pid: number;
}

/** A request as it is enqueued; `profile` is device-tls unless told otherwise. */
export interface TestRequest extends RequestKey {
  readonly csr: string;
  readonly profile?: string;
}

/** What SQS allows in one batch. */
const batchSize = 10;

/** A local cloud with what the tests ask of it. */
export class TestCloud {
  readonly local: LocalCloud;
  /** Every line that a function wrote. */
  readonly lines: readonly string[];
  readonly #outcomes: readonly LoggedOutcome[];

  private constructor(local: LocalCloud, lines: readonly string[], outcomes: readonly LoggedOutcome[]) {
    this.local = local;
    this.lines = lines;
    this.#outcomes = outcomes;
  }

  /** @param parameters values of `${param:x}` in deploy/*.yml */
  static async start(parameters: Readonly<Record<string, string>> = {}): Promise<TestCloud> {
    const lines: string[] = [];
    const outcomes: LoggedOutcome[] = [];
    const local = await startLocalCloud({
      parameters,
      onFunctionLog: ({ function: name, pid, text }) => {
        lines.push(text);
        const outcome = outcomeIn(text);
        if (outcome !== undefined) outcomes.push({ ...outcome, function: name, pid });
      },
    });
    return new TestCloud(local, lines, outcomes);
  }

  stop(): Promise<void> {
    return this.local.stop();
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

  /** An SQS client of another IAM identity: SenderId is its access key id. */
  sender(accessKeyId: string): SQSClient {
    return new SQSClient({
      endpoint: this.local.cloud.endpoint,
      region: this.local.cloud.environment.AWS_REGION ?? '',
      credentials: { accessKeyId, secretAccessKey: 'local' },
      useQueueUrlAsEndpoint: false,
    });
  }

  /** What was logged of a message so far, oldest first. */
  outcomesOf(messageId: string): LoggedOutcome[] {
    return this.#outcomes.filter((outcome) => outcome.messageId === messageId);
  }

  /** How the message ended; a retry is no end. */
  ended(messageId: string, limit?: number): Promise<LoggedOutcome> {
    const isEnd = ({ message }: LoggedOutcome) => message !== 'retry';
    return until(() => this.outcomesOf(messageId).find(isEnd), `end of message ${messageId}`, limit);
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
    return until(look, `certificate of ${keyOf(key)}`, limit);
  }

  rejected(key: RequestKey): Promise<RejectedRow> {
    const look = async () => {
      const row = await this.row(key);
      return row?.state === 'rejected' && row;
    };
    return until(look, `rejection of ${keyOf(key)}`);
  }

  /** The row in `failures`, of whatever class. */
  failure(messageId: string, limit?: number): Promise<Failure> {
    const look = async () => (await this.failures()).find((failure) => failure.messageId === messageId);
    return until(look, `failure of message ${messageId}`, limit);
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
      QueueUrl: this.local.cloud.resources[logicalId]?.url,
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
    await until(isEmpty, `empty ${logicalId}`, limit);
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

function outcomeIn(text: string): Omit<LoggedOutcome, 'function' | 'pid'> | undefined {
  if (!text.startsWith('{')) return undefined;
  const line = JSON.parse(text) as Partial<LoggedOutcome>;
  const { message, messageId } = line;
  if (messageId === undefined || message === undefined) return undefined;
  if (!['issued', 'rejected', 'failed', 'retry'].includes(message)) return undefined;
  return { ...line, message, messageId };
}
