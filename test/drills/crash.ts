import { SeededRandom } from '../../local/embedded/seeded-random.ts';
import { type LocalCloud, stage } from '../../local/local-cloud.ts';
import { writeFaults } from '../../local/pkcs11-shim/faults.ts';
import { accountFor, type RequestFigures } from './account.ts';
import { Deliveries } from './deliveries.ts';
import { type DrillOptions, type DrillResult, withEmbeddedCloud } from './drill.ts';
import { makeFleet, sendAll } from './fleet.ts';
import { BoundaryKills, RandomKills, signatureKills, signatureKillsDone } from './kills.ts';
import { processesOf, withLocalStack } from './localstack.ts';
import { settle } from './settle.ts';

export interface CrashOptions extends DrillOptions {
  readonly requests: number;
  /** How often at each boundary. */
  readonly each: number;
  /** How often at all boundaries of calls together, at most. */
  readonly limit: number;
}

/** In the order in which `--json` has them. */
export interface CrashFigures extends RequestFigures {
  readonly requests: number;
  readonly kills: number;
}

/** What a killed function leaves is delivered again soon, and nothing is given up however often that is. */
const parameters = {
  visibilityTimeout: '3',
  maxReceiveCount: '1000',
  giveUpAfterSeconds: '2400',
  issueConcurrency: '3',
  issueReservedConcurrency: '5',
};

/** Milliseconds without any new certificate after which a request counts as lost. */
const patience = 60_000;

/**
 * The issue function's processes are killed (SIGKILL) before and after each of their calls of AWS and of the HSM's
 * signatures, and at random times, while the queue delivers again what they left.
 */
export function crash(options: CrashOptions): Promise<DrillResult<CrashFigures>> {
  const random = SeededRandom.of(options.seed);
  const { each, limit } = options;
  const boundaries = new BoundaryKills({ function: 'issue', each, limit, random: random.named('boundaries') });
  return withEmbeddedCloud('crash', parameters, { around: boundaries.around }, async (local) => {
    const result = await crashIn(local, options, () => local.cloud.functions['issue']?.pids() ?? [], boundaries);
    const visited = [...boundaries.killed].map(([boundary, times]) => `killed ${times} times ${boundary}`).sort();
    return { ...result, remarks: [...visited, ...result.remarks] };
  });
}

/** On LocalStack, whose API nothing of ours can get between: killed round the HSM's signatures and at random times. */
export function crashOnLocalStack(options: CrashOptions): Promise<DrillResult<CrashFigures>> {
  return withLocalStack(parameters, options.onProgress, (local) =>
    crashIn(local, options, () => processesOf(local, `mintmark-${stage}-issue`)),
  );
}

/**
 * The drill in any local cloud.
 * @param pids of the issue function's processes now
 * @param boundaries where calls of AWS can be got between
 */
export async function crashIn(
  local: LocalCloud,
  { seed, requests: count, each, onProgress }: CrashOptions,
  pids: () => readonly number[],
  boundaries?: BoundaryKills,
): Promise<DrillResult<CrashFigures>> {
  const random = SeededRandom.of(seed);
  const deliveries = await Deliveries.start(local);
  const requests = await makeFleet(local, 'crash', count);
  writeFaults(local.shim.faults, [
    ...signatureKills(each, count, random),
    // What cannot be signed now is postponed, so the calls for that have their boundaries too.
    { fault: 'busy', count: Math.ceil(count / 10), chance: { probability: 0.05, state: random.named('busy').bits() } },
  ]);
  const randomKills = new RandomKills(pids, Math.ceil(count / 20), 1_000, random.named('times'));
  const kills = () => randomKills.done + signatureKillsDone(local.shim.faults, each) + (boundaries?.total ?? 0);
  try {
    await sendAll(local, random.named('order').shuffled(requests));
    await settle(local, requests, deliveries, patience, (issued) =>
      onProgress(`${issued} of ${count} issued, ${kills()} kills`),
    );
  } finally {
    randomKills.end();
    boundaries?.end();
  }
  await deliveries.stop();
  const { figures, problems, canaries } = await accountFor(local, requests, deliveries);
  return {
    figures: { requests: count, kills: kills(), ...figures },
    remarks: [
      `killed ${randomKills.done} times at random, ${signatureKillsDone(local.shim.faults, each)} times round a signature`,
      `${deliveries.announcements} announcements, ${canaries} signatures of the canary`,
    ],
    problems: kills() > 0 ? problems : [...problems, 'Nothing was killed.'],
  };
}
