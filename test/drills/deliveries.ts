import { X509Certificate } from 'node:crypto';
import { SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, DeleteMessageBatchCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import type { LocalCloud } from '../../local/local-cloud.ts';
import type { Announcement } from '../../shared/issuance/announce.ts';
import { keyOf, type RequestKey } from '../../shared/ledger/index.ts';
import type { Delivery } from '../support/audit.ts';
import { maximumBatch } from './fleet.ts';

/** Seconds that a look into the queue waits. */
const longPoll = 1;

/**
 * Every certificate that anybody could have got: what was announced on the topic, through a queue subscribed to it, and
 * what the rows held each time that they were read.
 */
export class Deliveries {
  readonly #local: LocalCloud;
  readonly #sns: SNSClient;
  readonly #stopping = new AbortController();
  /** One for each certificate that is different, by request. */
  readonly #delivered = new Map<string, Map<string, Delivery>>();
  #collecting: Promise<void> = Promise.resolve();
  readonly #announced = new Set<string>();
  #announcements = 0;

  private constructor(local: LocalCloud, sns: SNSClient) {
    this.#local = local;
    this.#sns = sns;
  }

  /** Subscribes, and collects until `stop`. */
  static async start(local: LocalCloud): Promise<Deliveries> {
    const { environment, endpoint, resources } = local.cloud;
    const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = environment;
    const region = environment['AWS_REGION'] ?? '';
    const sns = new SNSClient({ endpoint, region, credentials: { accessKeyId, secretAccessKey } });
    const topicArn = resources['CertificatesTopic']?.ref ?? '';
    const name = 'drill-deliveries';
    const { QueueUrl: url } = await local.clients.sqs.send(new CreateQueueCommand({ QueueName: name }));
    const queueArn = topicArn.replace(/^arn:aws:sns:/, 'arn:aws:sqs:').replace(/[^:]+$/, name);
    await sns.send(
      new SubscribeCommand({
        TopicArn: topicArn,
        Protocol: 'sqs',
        Endpoint: queueArn,
        Attributes: { RawMessageDelivery: 'true' },
      }),
    );
    const deliveries = new Deliveries(local, sns);
    deliveries.#collecting = deliveries.#collect(url ?? '');
    // It is `stop` that throws it.
    deliveries.#collecting.catch(() => undefined);
    return deliveries;
  }

  get all(): Delivery[] {
    return [...this.#delivered.values()].flatMap((certificates) => [...certificates.values()]);
  }

  /** How many requests have had a certificate announced or read. */
  get requests(): number {
    return this.#delivered.size;
  }

  /** Of those, the ones that were announced; the others were only read. */
  isAnnounced(key: RequestKey): boolean {
    return this.#announced.has(keyOf(key));
  }

  /** Announcements of certificates, repeated ones too. */
  get announcements(): number {
    return this.#announcements;
  }

  /** Reads rows, as a device does that polls. @returns those that hold a certificate */
  async read<Key extends RequestKey>(keys: readonly Key[]): Promise<Key[]> {
    const rows = await this.#local.ledger.read(keys);
    return keys.filter((key) => {
      const row = rows.get(keyOf(key));
      if (row?.state !== 'issued') return false;
      this.#note({ deviceId: key.deviceId, requestId: key.requestId, certificate: row.certificate });
      return true;
    });
  }

  /** Collects what there is still to be collected, and ends. @throws what kept it from collecting */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#collecting;
    this.#sns.destroy();
  }

  async #collect(queueUrl: string): Promise<void> {
    const { sqs } = this.#local.clients;
    for (;;) {
      const command = new ReceiveMessageCommand({
        QueueUrl: queueUrl,
        MaxNumberOfMessages: maximumBatch,
        WaitTimeSeconds: longPoll,
      });
      const { Messages: messages = [] } = await sqs.send(command);
      for (const { Body: body = '' } of messages) this.#hear(JSON.parse(body) as Announcement);
      if (messages.length > 0) {
        const Entries = messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
        await sqs.send(new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
      } else if (this.#stopping.signal.aborted) return;
    }
  }

  #hear(announcement: Announcement): void {
    if (announcement.type !== 'certificate.issued') return;
    this.#announcements += 1;
    const { deviceId, requestId, certificate } = announcement;
    this.#announced.add(keyOf({ deviceId, requestId }));
    this.#note({ deviceId, requestId, certificate: new X509Certificate(certificate).raw });
  }

  #note(delivery: Delivery): void {
    const key = keyOf(delivery);
    let certificates = this.#delivered.get(key);
    if (certificates === undefined) this.#delivered.set(key, (certificates = new Map()));
    certificates.set(Buffer.from(delivery.certificate).toString('base64'), delivery);
  }
}
