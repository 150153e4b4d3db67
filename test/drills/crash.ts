import { setTimeout as delay } from 'node:timers/promises';
import type { Conditions } from '../../local/embedded/cloud.ts';
import { SeededRandom } from '../../local/embedded/seeded-random.ts';
import { type LocalCloud, stage } from '../../local/local-cloud.ts';
import { writeFaults } from '../../local/pkcs11-shim/faults.ts';
import { failuresToOpen } from '../../shared/breaker/gate.ts';
import { accountFor, type RequestFigures } from './account.ts';
import { Deliveries } from './deliveries.ts';
import { type DrillOptions, type DrillResult, withEmbeddedCloud } from './drill.ts';
import { type FleetRequest, makeFleet, makeRequests, maximumBatch, sendAll } from './fleet.ts';
import {
  type Boundary,
  BoundaryKills,
  boundariesOf,
  RandomKills,
  signatureKills,
  signatureKillsDone,
  signatureStep,
} from './kills.ts';
import { processesOf, withLocalStack } from './localstack.ts';
import { settle } from './settle.ts';
import { type CallStep, callSteps } from './steps.ts';

export interface CrashOptions extends DrillOptions {
  readonly requests: number;
}

/** In the order in which `--json` has them. */
export interface CrashFigures extends RequestFigures {
  readonly requests: number;
  readonly kills: number;
}

/** How many kills so many requests can take, and whether that is enough to have been everywhere. */
export interface KillPlan {
  /** Of the boundaries of calls, from 0 to 1. */
  readonly share: number;
  /** How often at each of them. */
  readonly each: number;
  /** How often before, and after, a signature. */
  readonly eachSignature: number;
  /** How often at all boundaries of calls together, at most. */
  readonly limit: number;
  /** Whether a boundary without a kill is a problem, and not only named. */
  readonly mustHitAll: boolean;
}

/** From so many requests on a drill must have killed at every boundary: on LocalStack there are two, of the signature. */
const requestsForEveryBoundary = { embedded: 400, localstack: 100 } as const;

/** With fewer requests there are fewer kills: all would meet the same few messages. Pure. */
export function killPlan(cloud: keyof typeof requestsForEveryBoundary, requests: number): KillPlan {
  const mustHitAll = requests >= requestsForEveryBoundary[cloud];
  return {
    // Or the first boundaries would have all the kills.
    share: mustHitAll ? 1 : 0.25,
    each: 2,
    // On a slow machine most of those run out of time before anybody goes on with them.
    eachSignature: Math.min(cloud === 'embedded' ? 15 : 3, Math.ceil(requests / 20)),
    limit: mustHitAll ? Infinity : Math.ceil(requests * 0.3),
    mustHitAll,
  };
}

/**
 * What a killed function leaves is delivered again soon, and nothing is given up however often that is. An attempt whose
 * process was killed some times, or whose signer was away meanwhile, has run out of time: so some are abandoned, and by the
 * issue function, since reconcile seldom looks, and then is killed.
 */
const parameters = {
  visibilityTimeout: '3',
  maxReceiveCount: '1000',
  giveUpAfterSeconds: '2400',
  signBeforeSeconds: '20',
  reconcileSchedule: 'rate(20 minutes)',
  checkSignerSeconds: '2',
  watchSchedule: 'rate(60 minutes)',
  issueConcurrency: '3',
  issueReservedConcurrency: '5',
};

/** Check-signer, which tries a breaker's signer again, looks every two seconds; reconcile every forty. */
const scheduleCompression = 30;

/** Which are killed too, once at each boundary that they come to; which those are is theirs, so none is required. */
const otherFunctions = ['reconcile', 'checkSigner'] as const;

/** One request in so many is refused: of a device that nobody registered, or for a profile that nobody deployed. */
const refusedShare = 20;

/** Milliseconds without any new certificate after which a request counts as lost. */
const patience = 60_000;

/**
 * The issue function's processes are killed (SIGKILL) before and after each of their calls of AWS and of the HSM's
 * signatures, and at random times, while the queue delivers again what they left. A part of the requests is sent while the
 * HSM comes and goes, or nothing would ever be postponed, abandoned, or kept from the signer by the breaker.
 */
export function crash(options: CrashOptions): Promise<DrillResult<CrashFigures>> {
  const random = SeededRandom.of(options.seed);
  const plan = killPlan('embedded', options.requests);
  const { share, each, limit } = plan;
  const boundaries = new BoundaryKills({ function: 'issue', share, each, limit, random: random.named('boundaries') });
  const others = otherFunctions.map(
    (name) =>
      new BoundaryKills({
        function: name,
        prefix: `${name}: `,
        share,
        each: 1,
        limit,
        random: random.named(`of ${name}`),
      }),
  );
  const conditions: Conditions = {
    around: (call, perform) =>
      [boundaries, ...others].find((kills) => kills.isOf(call))?.around(call, perform) ?? perform(),
    scheduleCompression,
  };
  return withEmbeddedCloud('crash', options, { parameters, conditions }, async (local) =>
    crashIn(local, options, {
      pids: () => local.cloud.functions['issue']?.pids() ?? [],
      boundaries,
      others,
      steps: callSteps,
      plan,
    }),
  );
}

/** On LocalStack, whose API nothing of ours can get between: killed round the HSM's signatures and at random times. */
export function crashOnLocalStack(options: CrashOptions): Promise<DrillResult<CrashFigures>> {
  return withLocalStack(parameters, options, (local) =>
    crashIn(local, options, {
      pids: () => processesOf(local, `mintmark-${stage}-issue`),
      boundaries: undefined,
      others: [],
      steps: [],
      plan: killPlan('localstack', options.requests),
    }),
  );
}

interface Victims {
  /** Of the issue function's processes now. */
  readonly pids: () => readonly number[];
  /** Where calls of AWS can be got between. */
  readonly boundaries: BoundaryKills | undefined;
  /** Of the other functions. */
  readonly others: readonly BoundaryKills[];
  /** Those besides the signature that a process is killed before and after. */
  readonly steps: readonly CallStep[];
  readonly plan: KillPlan;
}

/** The drill in any local cloud. */
async function crashIn(
  local: LocalCloud,
  { seed, requests: count, onProgress }: CrashOptions,
  { pids, boundaries, others, steps, plan: { eachSignature, mustHitAll } }: Victims,
): Promise<DrillResult<CrashFigures>> {
  const random = SeededRandom.of(seed);
  const deliveries = await Deliveries.start(local);
  onProgress(`${count} devices are registered`);
  const requests = random.named('order').shuffled(await makeFleet(local, 'crash', count));
  const refusedCount = Math.ceil(count / refusedShare);
  const rejected = makeRequests('crash-unregistered', refusedCount);
  const failed = makeRequests('crash-unknown-profile', refusedCount, 'nobody-deployed-this');
  await sendAll(local, [...rejected, ...failed]);
  const sent =
    boundaries === undefined || !mustHitAll
      ? 0
      : await sendWhileHsmComesAndGoes(local, requests.slice(0, count / 2), steps, boundaries, onProgress);
  writeFaults(local.shim.faults, [
    ...signatureKills(eachSignature, count - sent, random),
    // What cannot be signed now is postponed, so the calls for that have their boundaries too.
    { fault: 'busy', count: Math.ceil(count / 10), chance: { probability: 0.05, state: random.named('busy').bits() } },
  ]);
  const randomKills = new RandomKills(pids, Math.ceil(count / 20), 1_000, random.named('times'));
  const killed = () =>
    new Map([
      ...(boundaries?.killed ?? []),
      ...others.flatMap((kills) => [...kills.killed]),
      ...signatureKillsDone(local.shim.faults, eachSignature),
    ]);
  const kills = () => [...killed().values()].reduce((total, times) => total + times, randomKills.done);
  try {
    await sendAll(local, requests.slice(sent));
    await settle(local, requests, deliveries, patience, (issued) =>
      onProgress(`${issued} of ${count} issued, ${kills()} kills`),
    );
  } finally {
    randomKills.end();
    for (const each of [boundaries, ...others]) each?.end();
  }
  await deliveries.stop();
  const { figures, problems, canaries } = await accountFor(local, requests, deliveries, { rejected, failed });
  const { lines, missed } = boundaryReport([...steps, signatureStep], killed());
  return {
    figures: { requests: count, kills: kills(), ...figures },
    remarks: [
      'Processes killed, of the issue function where no other is named:',
      ...lines,
      `  ${randomKills.done} at random times`,
      ...neverKilled(missed),
      `${deliveries.announcements} announcements, ${canaries} signatures of the canary`,
    ],
    problems: [
      ...problems,
      ...(mustHitAll ? missed.map((boundary) => `Nothing was killed ${boundary}.`) : []),
      ...(kills() > 0 ? [] : ['Nothing was killed.']),
      // What the drill is about: somebody dies between signature and row, and somebody else goes on with the same TBS.
      ...(mustHitAll && figures.repeatedSignatures === 0 ? ['No attempt that had been signed was gone on with.'] : []),
    ],
  };
}

/** A sentence for each step. Pure. */
function neverKilled(missed: readonly Boundary[]): string[] {
  const steps = Map.groupBy(missed, (boundary) => boundary.replace(/^(before|after) /, ''));
  return [...steps].map(([step, of]) => `Never killed ${of.length > 1 ? `before or after ${step}` : of.join()}.`);
}

/**
 * Pure.
 * @param killed how often at each boundary; those of steps that are in no list too
 * @returns a line for each step at which something was killed, and the boundaries of `steps` at which nothing was
 */
export function boundaryReport(
  steps: readonly string[],
  killed: ReadonlyMap<Boundary, number>,
): { readonly lines: string[]; readonly missed: Boundary[] } {
  const found = [...killed.keys()].map((boundary) => boundary.replace(/^(before|after) /, ''));
  const times = (boundary: Boundary) => killed.get(boundary) ?? 0;
  return {
    lines: [...new Set([...steps, ...found])]
      .filter((step) => boundariesOf(step).some((boundary) => times(boundary) > 0))
      .map((step) => `  ${times(`before ${step}`)} before, ${times(`after ${step}`)} after: ${step}`),
    missed: steps.flatMap(boundariesOf).filter((boundary) => times(boundary) === 0),
  };
}

/** How often the HSM goes at most, while there are boundaries at which nothing was killed. */
const maximumAbsences = 20;
/** Milliseconds for which it is waited that a process comes to a boundary. */
const boundaryPatience = 10_000;
/** Likewise that an attempt runs out of time (signBeforeSeconds) and its message comes again. */
const abandonPatience = 30_000;
const lastOfAbandoning = 'settle the abandoned attempt' satisfies CallStep;

/**
 * Sends requests, a batch at a time, to an HSM that is away until its breaker counts a failure or opens, and back until
 * that is forgotten or it closes. @returns how many were sent
 */
async function sendWhileHsmComesAndGoes(
  local: LocalCloud,
  requests: readonly FleetRequest[],
  steps: readonly CallStep[],
  boundaries: BoundaryKills,
  onProgress: (text: string) => void,
): Promise<number> {
  const passed = (...ofSteps: CallStep[]) => ofSteps.reduce((sum, step) => sum + boundaries.passed(`after ${step}`), 0);
  let sent = 0;
  for (let absence = 0; absence < maximumAbsences && sent < requests.length; absence++) {
    const { missed } = boundaryReport(steps, boundaries.killed);
    if (missed.length === 0) break;
    onProgress(`${missed.length} boundaries without a kill yet`);
    // Busy, not gone: an environment that cannot open its session records no intent that could run out of time.
    writeFaults(local.shim.faults, [{ fault: 'busy', count: -1 }]);
    // At first many: the kills fall on different batches, and no message's next try is put off for minutes.
    const until = absence === 0 ? Math.ceil(requests.length / 2) : sent + maximumBatch;
    await sendAll(local, requests.slice(sent, until));
    sent = Math.min(until, requests.length);
    const [counted, opened] = [passed('count a failure of the signer'), passed('open the breaker')];
    const enough = absence % 2 === 0 ? 1 : failuresToOpen;
    await come(
      () => passed('count a failure of the signer') >= counted + enough || passed('open the breaker') > opened,
      boundaryPatience,
    );
    if (missed.some((boundary) => boundary.endsWith(lastOfAbandoning))) {
      const abandoned = passed(lastOfAbandoning);
      await come(() => passed(lastOfAbandoning) > abandoned, abandonPatience);
    }
    writeFaults(local.shim.faults, []);
    const recovered = passed('forget its failures', 'close the breaker');
    await come(() => passed('forget its failures', 'close the breaker') > recovered, boundaryPatience);
  }
  return sent;
}

/** Waits until it is so, and no longer than that: what was never reached is told in the end. */
async function come(isSo: () => boolean, limit: number): Promise<void> {
  const end = performance.now() + limit;
  while (!isSo() && performance.now() < end) await delay(50);
}
