import { disturbedSource } from '../../local/embedded/delivery-faults.ts';
import { SeededRandom } from '../../local/embedded/seeded-random.ts';
import { writeFaults } from '../../local/pkcs11-shim/faults.ts';
import { readRecord } from '../../local/pkcs11-shim/record.ts';
import { accountFor, type RequestFigures } from './account.ts';
import { Deliveries } from './deliveries.ts';
import { type DrillOptions, type DrillResult, withEmbeddedCloud } from './drill.ts';
import { type FleetRequest, makeFleet, maximumBatch, sendAll } from './fleet.ts';
import { settle } from './settle.ts';

export interface StormOptions extends DrillOptions {
  readonly requests: number;
  /** How often a request is sent at most. */
  readonly copies: number;
}

/** In the order in which `--json` has them. */
export interface StormFigures extends RequestFigures {
  readonly requests: number;
  /** All copies of all requests. */
  readonly messages: number;
}

const workers = 4;
const patience = 60_000;

/**
 * Every request is sent up to 20 times, the copies so that several workers have one each at the same moment, and the queue
 * delivers some of them twice. The HSM is slow, so that workers sign the same TBS before the first of them has stored.
 */
export function storm(options: StormOptions): Promise<DrillResult<StormFigures>> {
  const { seed, requests: count, copies, onProgress } = options;
  const random = SeededRandom.of(seed);
  const chances = { duplicate: 0.1, late: 0, lateMilliseconds: 0 };
  // One session each: a batch is in a worker's hands for longer than another worker takes to log in.
  const parameters = {
    visibilityTimeout: '30',
    giveUpAfterSeconds: '2400',
    issueConcurrency: String(workers),
    pkcs11Sessions: '1',
  };
  const source = (of: Parameters<typeof disturbedSource>[0], { queue }: { readonly queue: string }) =>
    disturbedSource(
      of,
      () => chances,
      random.named(queue),
      () => performance.now(),
    );
  return withEmbeddedCloud('storm', options, { parameters, conditions: { source } }, async (local) => {
    const deliveries = await Deliveries.start(local);
    onProgress(`${count} devices are registered`);
    const requests = await makeFleet(local, 'storm', count);
    writeFaults(local.shim.faults, [{ fault: 'slow', count: -1, milliseconds: 60 }]);
    const messages = copiesOf(requests, copies, random.named('copies'));
    await sendAll(local, messages);
    await settle(local, requests, deliveries, patience, (issued) => onProgress(`${issued} of ${count} issued`));
    await deliveries.stop();
    const { figures, problems } = await accountFor(local, requests, deliveries);
    const signatures = Map.groupBy(readRecord(local.shim.record), ({ digest }) => digest).values();
    const contended = [...signatures].filter((made) => new Set(made.map(({ processId }) => processId)).size > 1).length;
    return {
      figures: { requests: count, messages: messages.length, ...figures },
      remarks: [
        `${workers} workers; ${contended} requests were signed by more than one of them, over the same TBS each`,
        `${deliveries.announcements} announcements`,
      ],
      problems: contended > 0 ? problems : [...problems, 'No request was with two workers at once: no storm.'],
    };
  });
}

/**
 * Group by group of a batch's size, each request so often as the seed says: a batch has one copy of each, so workers that
 * take a batch each have the same requests, in another order.
 */
function copiesOf(requests: readonly FleetRequest[], copies: number, random: SeededRandom): FleetRequest[] {
  const messages: FleetRequest[] = [];
  for (let start = 0; start < requests.length; start += maximumBatch) {
    const group = requests
      .slice(start, start + maximumBatch)
      .map((request) => ({ request, left: 1 + random.below(copies) }));
    for (let round = 0; round < copies; round++) {
      messages.push(...random.shuffled(group.filter(({ left }) => left > round).map(({ request }) => request)));
    }
  }
  return messages;
}
