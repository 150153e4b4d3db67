/** Where a message comes from. */
export interface Origin {
  readonly senderId: string;
  /** The queue it was sent to; another one than where it is received when it is a dead letter. */
  readonly queueUrl: string;
}

/** What a role's session is called: at AWS, whoever assumes the role chooses it. */
const sessionName = 'local';

/**
 * What SQS attests of whoever signs with this access key: an access key is a name that a caller gives itself here, and is
 * its principal id. A role's (AROA...) is followed by its session (Amazon SQS API reference, ReceiveMessage).
 */
export function senderIdOf(accessKeyId: string | undefined): string {
  if (accessKeyId === undefined) return 'anonymous';
  return accessKeyId.startsWith('AROA') ? `${accessKeyId}:${sessionName}` : accessKeyId;
}

/**
 * Which access key sent each message, so that SenderId names the sender as AWS's attested one does (fauxqs gives every
 * message the same), and to which queue, for DeadLetterQueueSourceArn (fauxqs has none). A message is forgotten when it is
 * deleted.
 */
export class Senders {
  readonly #messages = new Map<string, { readonly origin: Origin; readonly receiptHandles: Set<string> }>();
  readonly #receipts = new Map<string, string>();
  readonly #sending = new Set<Promise<void>>();

  /** Runs a send; its messages' ids are known when `send` has resolved. */
  async during<T extends { readonly messageIds: readonly string[] }>(origin: Origin, send: Promise<T>): Promise<T> {
    const noted = send.then(({ messageIds }) => {
      for (const id of messageIds) this.#messages.set(id, { origin, receiptHandles: new Set() });
    });
    // `send` itself is what the caller gets to see fail.
    const settled = noted.catch(() => {}).finally(() => this.#sending.delete(settled));
    this.#sending.add(settled);
    await settled;
    return send;
  }

  /** The origin of a message that was received; undefined for one that no client sent (a topic's). */
  async of(messageId: string, receiptHandle: string): Promise<Origin | undefined> {
    // A message can be received before the answer to its sender has come by; then its send is still among these.
    if (!this.#messages.has(messageId)) await Promise.all(this.#sending);
    const message = this.#messages.get(messageId);
    if (message === undefined) return undefined;
    message.receiptHandles.add(receiptHandle);
    this.#receipts.set(receiptHandle, messageId);
    return message.origin;
  }

  forget(receiptHandle: string): void {
    const messageId = this.#receipts.get(receiptHandle);
    if (messageId === undefined) return;
    for (const handle of this.#messages.get(messageId)?.receiptHandles ?? []) this.#receipts.delete(handle);
    this.#messages.delete(messageId);
  }
}
