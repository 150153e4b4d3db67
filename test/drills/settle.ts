import { setTimeout as delay } from 'node:timers/promises';
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import type { LocalCloud } from '../../local/local-cloud.ts';
import type { Deliveries } from './deliveries.ts';
import type { FleetRequest } from './fleet.ts';

/** Milliseconds between two looks. */
const interval = 500;

const queues = ['RequestsQueue', 'RedriveQueue'] as const;

/** Messages that are in a queue, visible or not. */
export async function messagesIn(local: LocalCloud, logicalId: string): Promise<number> {
  const command = new GetQueueAttributesCommand({
    QueueUrl: local.cloud.resources[logicalId]?.ref,
    AttributeNames: ['All'],
  });
  const { Attributes: attributes = {} } = await local.clients.sqs.send(command);
  return (
    Number(attributes.ApproximateNumberOfMessages ?? 0) +
    Number(attributes.ApproximateNumberOfMessagesNotVisible ?? 0) +
    Number(attributes.ApproximateNumberOfMessagesDelayed ?? 0)
  );
}

/** Milliseconds: no message is postponed for longer (shared/queue/retry-delay.ts), and it may wait for its worker. */
const longestPostponement = 960_000;

/**
 * Waits until every request has its certificate and no message is left, reading rows all the while. A request that never
 * gets one ends the wait at its limit, and the account says which.
 * @param limit milliseconds since the last certificate, where no message is left that could bring another
 * @param onLook hears how many requests have their certificate
 */
export async function settle(
  local: LocalCloud,
  requests: readonly FleetRequest[],
  deliveries: Deliveries,
  limit: number,
  onLook: (issued: number) => void,
): Promise<void> {
  const died = local.cloud.died.then((error) => Promise.reject(error));
  let open = requests;
  let lastChange = Date.now();
  for (;;) {
    const issued = new Set(await Promise.race([deliveries.read(open), died]));
    if (issued.size > 0) lastChange = Date.now();
    open = open.filter((request) => !issued.has(request));
    onLook(requests.length - open.length);
    const waited = Date.now() - lastChange;
    if (open.length === 0 || waited > limit) {
      const left = await Promise.all(queues.map((name) => messagesIn(local, name)));
      if (left.every((count) => count === 0) || waited > longestPostponement) break;
    }
    await delay(interval);
  }
  // Once more each, as a device that comes later does.
  await deliveries.read(requests);
}
