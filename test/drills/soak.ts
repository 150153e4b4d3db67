import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type CallEffect, CallFaults, callErrors } from '../../local/embedded/call-faults.ts';
import { type DeliveryChances, disturbedSource } from '../../local/embedded/delivery-faults.ts';
import { SeededRandom } from '../../local/embedded/seeded-random.ts';
import { type Fault, readFaults, writeFaults } from '../../local/pkcs11-shim/faults.ts';
import type { FaultRequest } from '../../local/stub/faults.ts';
import { accountFor, type RequestFigures } from './account.ts';
import { type Asked, type Dealt, dealt, pendingWith, timesMet } from './dealing.ts';
import { Deliveries } from './deliveries.ts';
import { type DrillOptions, type DrillResult, type EmbeddedDrillCloud, withEmbeddedCloud } from './drill.ts';
import { type FleetRequest, makeFleet, sendAll } from './fleet.ts';
import { heapRecordVariable, readHeapRecord } from './heap-record.ts';
import { killProcess } from './kills.ts';
import { memoryTrend, warmUp } from './memory.ts';
import { settle } from './settle.ts';
import { WorkerKills } from './worker-kills.ts';

export interface SoakOptions extends DrillOptions {
  readonly minutes: number;
  /** Requests a second. */
  readonly rate: number;
}

/** In the order in which `--json` has them. */
export interface SoakFigures extends RequestFigures {
  readonly requests: number;
  /** Of load. */
  readonly minutes: number;
  /** Requests that were sent in a second of load: fewer than asked for where the machine does not keep up. */
  readonly requestsPerSecond: number;
  /** From the end of the load until the last certificate, and no message was left. */
  readonly settlingSeconds: number;
  /** Calls that went wrong on demand, signatures among them, and processes killed. */
  readonly faults: number;
  /** The largest resident set of a worker, in KiB. */
  readonly memoryKiB: number;
  /** KiB a minute of a worker's resident set; null where none lived long enough to say. */
  readonly memorySlope: number | null;
  /** KiB a minute of what a worker's objects take after a garbage collection; null likewise. */
  readonly heapSlope: number | null;
}

type CallError = (typeof callErrors)[keyof typeof callErrors];

/** Failed and not done, failed but done: what an error or an answer that never comes may each mean. */
const pairs = (...errors: readonly CallError[]): CallEffect[] =>
  (['before', 'after'] as const).flatMap((when): CallEffect[] => [
    { effect: 'connection-dropped', when },
    ...errors.map((error) => ({ ...error, when })),
  ]);

/** What is refused is not done. */
const refusals = (...errors: readonly CallError[]): CallEffect[] =>
  errors.map((error) => ({ ...error, when: 'before' }));

const { provisionedThroughputExceeded, throttled, conditionalCheckFailed, internal, serviceUnavailable, refused } =
  callErrors;

/** Each of `effects` for each of `operations`. */
const callFaults: readonly { service: string; operations: readonly string[]; effects: readonly CallEffect[] }[] = [
  {
    service: 'dynamodb',
    operations: ['BatchGetItem', 'GetItem'],
    effects: [...pairs(internal), ...refusals(provisionedThroughputExceeded, throttled)],
  },
  {
    service: 'dynamodb',
    operations: ['UpdateItem'],
    // As if another worker had written first. A write that was done and is said to have failed its condition is what the
    // SDK's second try makes of a lost reply.
    effects: [...pairs(internal), ...refusals(provisionedThroughputExceeded, throttled, conditionalCheckFailed)],
  },
  {
    service: 'sns',
    operations: ['PublishBatch'],
    effects: [...pairs(serviceUnavailable), ...refusals(throttled, refused)],
  },
  { service: 'sqs', operations: ['ChangeMessageVisibilityBatch'], effects: pairs(serviceUnavailable) },
];

/** Not those that kill a worker: which one dies, and that one is spared, is said below. */
const signerFaults: readonly Omit<Fault, 'count'>[] = [
  { fault: 'busy' },
  { fault: 'session-lost' },
  { fault: 'device-removed' },
  { fault: 'down' },
  { fault: 'reply-lost' },
  { fault: 'corrupt' },
  { fault: 'slow', milliseconds: 200 },
];

/** Beyond the deadline of a batch (functions/issue.ts) and of the canary, so that nobody waits it out. */
const hanging: Fault = { fault: 'hang-initialize', milliseconds: 40_000, count: 1 };

const stubFaults: readonly FaultRequest[] = [
  { operation: 'TrentService.Decrypt', code: 'ThrottlingException', when: 'before' },
  { operation: 'TrentService.Decrypt', code: 'KMSInternalException', when: 'after' },
  { operation: 'TrentService.Decrypt', effect: 'connection-dropped', when: 'after' },
  { operation: 'TrentService.Decrypt', effect: 'slow', milliseconds: 500 },
];

const calm: DeliveryChances = { duplicate: 0.02, late: 0.02, lateMilliseconds: 500 };
const stormy: DeliveryChances = { duplicate: 0.3, late: 0.3, lateMilliseconds: 8_000 };

/** Milliseconds between two faults, on average. */
const meanPause = 1_000;
/** The SDK tries three times: a fault for more calls than that is one that the function hears of. */
const longestBurst = 8;
const patience = 90_000;
/** Seconds' worth of requests that may wait. */
const longestQueue = 20;
/** Minutes of load below which no worker can be expected to have lived long enough to say anything of its memory. */
const shortestVerdict = 5;
/**
 * KiB by which a worker's objects, after garbage collections, may seem to grow from the end of its warm-up to that of the
 * load. A worker that has nothing to do for a while was seen to have 1 to 2 MiB less, so one that has more to do in the end
 * than before seems to grow. In 5 minutes with the usual rate a worker has some 900 requests meanwhile, so what keeps 3.4 KiB of each is
 * found; in 20 minutes, 0.6 KiB.
 */
const heapNoise = 3_072;

const nameOfCall = (service: string, operation: string, effect: CallEffect): string =>
  `${service} ${operation} ${effect.effect === 'error' ? effect.code : effect.effect} ${effect.when}`;
const nameOfSigner = ({ fault }: Omit<Fault, 'count'>): string => `hsm ${fault}`;
const nameOfStub = (fault: FaultRequest): string =>
  `kms ${fault.operation} ${'code' in fault ? fault.code : fault.effect}`;

const killedWorker = 'killed worker';
const stormyDeliveries = 'stormy deliveries';

/** Every fault of a function's call. */
const allCallFaults = callFaults.flatMap(({ service, operations, effects }) =>
  operations.flatMap((operation) => effects.map((effect) => ({ service, operation, effect }))),
);

/** The kinds of faults, each of which must have happened in a soak that is long enough. */
export const faultKinds: readonly string[] = [
  ...allCallFaults.map(({ service, operation, effect }) => nameOfCall(service, operation, effect)),
  ...[...signerFaults, hanging].map(nameOfSigner),
  ...stubFaults.map(nameOfStub),
  killedWorker,
  stormyDeliveries,
];

/** What must not be, a sentence each. Pure. @param happened how often each kind has @param minutes of load */
export const faultProblems = (minutes: number, happened: ReadonlyMap<string, number>): string[] =>
  minutes < shortestVerdict
    ? []
    : faultKinds
        .filter((kind) => (happened.get(kind) ?? 0) === 0)
        .map((kind) => `No fault of this kind happened: ${kind}.`);

/** What must not be, a sentence each. Pure. @param minutes of load @param heapSlope KiB a minute */
export function memoryProblems(minutes: number, heapSlope: number | null): string[] {
  if (minutes < shortestVerdict) return [];
  if (heapSlope === null) return ['No worker lived long enough to judge its memory.'];
  const isLeak = heapSlope * (minutes - warmUp) > heapNoise;
  return isLeak ? [`A worker keeps ${Math.round(heapSlope)} KiB/min more.`] : [];
}

/**
 * A steady load with random faults of every kind: DynamoDB, SNS, SQS, KMS, the HSM, late and repeated deliveries, killed
 * workers. Short waits, so that attempts run out of time and are abandoned too.
 */
export function soak(options: SoakOptions): Promise<DrillResult<SoakFigures>> {
  const random = SeededRandom.of(options.seed);
  const happened = new Map<string, number>();
  const note = (kind: string, times = 1) => happened.set(kind, (happened.get(kind) ?? 0) + times);
  const calls = new CallFaults((fault) => note(nameOfCall(fault.service, fault.operation, fault)));
  let chances = calm;
  const parameters = {
    visibilityTimeout: '6',
    maxReceiveCount: '1000',
    giveUpAfterSeconds: '2400',
    signBeforeSeconds: '45',
    issueConcurrency: '2',
    checkSignerSeconds: '5',
  };
  const source = (of: Parameters<typeof disturbedSource>[0], { queue }: { readonly queue: string }) =>
    disturbedSource(
      of,
      () => chances,
      random.named(queue),
      () => performance.now(),
    );
  const conditions = { around: calls.around, source, scheduleCompression: 12 };
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-drill-'));
  const heapRecord = join(folder, 'heap');
  const functionEnvironment = {
    NODE_OPTIONS: `--import=${new URL('./heap-probe.ts', import.meta.url).href}`,
    [heapRecordVariable]: heapRecord,
  };
  const drilled = withEmbeddedCloud('soak', options, { parameters, conditions, functionEnvironment }, async (local) => {
    const faults = new Faults({
      local,
      calls,
      random: random.named('faults'),
      deliver: (next) => {
        chances = next;
      },
      note,
      happened,
    });
    const faultsSoFar = () => [...happened.values()].reduce((total, times) => total + times, 0);
    const ending = new AbortController();
    const { promise: hasBegun, resolve: begin } = Promise.withResolvers<void>();
    // Not before certificates come: a worker that starts among faults of a start may not live long enough to be measured.
    const disturbing = hasBegun.then(() => faults.run(ending.signal));
    // It is thrown where it is waited for.
    disturbing.catch(() => undefined);
    const { requests, deliveries, workers, seconds } = await load(local, options, random, begin);
    const loaded = performance.now();
    const memory = memoryTrend(readHeapRecord(heapRecord).filter(({ processId }) => workers.has(processId)));
    ending.abort();
    begin();
    await disturbing;
    const settlingSeconds = (): number => Math.round((performance.now() - loaded) / 1000);
    await settle(local, requests, deliveries, patience, (issued) =>
      options.onProgress(`${issued} of ${requests.length} issued ${settlingSeconds()} s after the load`),
    );
    const settledAfter = settlingSeconds();
    await deliveries.stop();
    const { figures, problems, canaries } = await accountFor(local, requests, deliveries);
    return {
      figures: {
        requests: requests.length,
        minutes: options.minutes,
        requestsPerSecond: Math.round((requests.length / seconds) * 10) / 10,
        settlingSeconds: settledAfter,
        faults: faultsSoFar(),
        ...figures,
        memoryKiB: memory.maximum,
        memorySlope: rounded(memory.resident),
        heapSlope: rounded(memory.live),
      },
      remarks: [
        ...[...happened].sort().map(([kind, times]) => `${kind}: ${times}`),
        `${deliveries.announcements} announcements, ${canaries} signatures of the canary`,
        ...(requests.length < options.rate * options.minutes * 60
          ? [
              `The machine did not keep up: ${requests.length} requests were sent in ${Math.round(seconds)} s, and not ${options.rate} a second.`,
            ]
          : []),
      ],
      problems: [
        ...problems,
        ...faultProblems(options.minutes, happened),
        ...memoryProblems(options.minutes, memory.live),
      ],
    };
  });
  return drilled.finally(() => rmSync(folder, { recursive: true }));
}

const rounded = (slope: number | null): number | null => (slope === null ? null : Math.round(slope));

/** The load, until its time is over. @param onIssued hears, again and again, that certificates come */
async function load(
  local: EmbeddedDrillCloud,
  { minutes, rate, onProgress }: SoakOptions,
  random: SeededRandom,
  onIssued: () => void,
) {
  const deliveries = await Deliveries.start(local);
  const workers = new Set<number>();
  const requests: FleetRequest[] = [];
  const order = random.named('order');
  const start = performance.now();
  for (let second = 0; second < minutes * 60; second++) {
    const waiting = requests.length - deliveries.requests;
    // A machine that does not keep up is not loaded further: this is about faults, not about speed.
    const fresh = waiting > longestQueue * rate ? [] : await makeFleet(local, `soak-${second}`, rate);
    requests.push(...fresh);
    await sendAll(local, order.shuffled(fresh));
    // Some device asks again what it asked a while ago.
    await sendAll(local, [order.pick(requests)]);
    for (const pid of local.cloud.functions['issue']?.pids() ?? []) workers.add(pid);
    await deliveries.read(requests.slice(-5 * rate));
    if (deliveries.requests > rate) onIssued();
    onProgress(`${second} s: ${requests.length} requests, ${deliveries.requests} with a certificate`);
    await delay(Math.max(0, (second + 1) * 1000 - (performance.now() - start)));
  }
  return { requests, deliveries, workers, seconds: (performance.now() - start) / 1000 };
}

interface Happening extends Dealt {
  /** Asks for the fault. */
  readonly ask: () => void | Promise<void>;
  /** Whether only a process that starts meets it. */
  readonly isOfStart?: boolean;
}

type SignerFault = Asked & { readonly fault: Fault };
type StubFault = Asked & { readonly fault: FaultRequest };

interface FaultsOptions {
  readonly local: EmbeddedDrillCloud;
  readonly calls: CallFaults;
  readonly random: SeededRandom;
  readonly deliver: (chances: DeliveryChances) => void;
  /** Hears of a kind of fault that happened, and how often. */
  readonly note: (kind: string, times?: number) => void;
  /** How often each kind has, so far. */
  readonly happened: ReadonlyMap<string, number>;
}

/** One fault after another, each kind as often as the others: all are dealt before one comes again. */
class Faults {
  readonly #options: FaultsOptions;
  readonly #kills: WorkerKills;
  #left: Happening[] = [];
  #signerFaults: readonly SignerFault[] = [];
  #stubFaults: readonly StubFault[] = [];

  constructor(options: FaultsOptions) {
    this.#options = options;
    const { local, random } = options;
    this.#kills = new WorkerKills({
      pids: () => local.cloud.functions['issue']?.pids() ?? [],
      kill: killProcess,
      random,
    });
  }

  /** Until the signal; then everything is well again. */
  async run(signal: AbortSignal): Promise<void> {
    const { local, calls, random, deliver, note } = this.#options;
    writeFaults(local.shim.faults, []);
    while (!signal.aborted) {
      await this.#next();
      if (this.#kills.look()) note(killedWorker);
      const pause = -Math.log(1 - random.fraction()) * meanPause;
      // Cut short by the end.
      await delay(pause, undefined, { signal }).catch(() => undefined);
    }
    calls.set();
    this.#sign();
    deliver(calm);
    await this.#tellStub();
  }

  async #next(): Promise<void> {
    const { happened, random } = this.#options;
    if (this.#left.length === 0) this.#left = dealt(this.#all(), happened, random);
    const happening = this.#left.shift();
    await happening?.ask();
    if (happening?.isOfStart === true) this.#kills.ask();
  }

  #all(): Happening[] {
    const { calls, random, deliver, note } = this.#options;
    const count = () => 1 + random.below(longestBurst);
    return [
      ...allCallFaults.map(({ effect, ...call }) => ({
        kind: nameOfCall(call.service, call.operation, effect),
        ask: () => calls.add({ ...effect, ...call, count: count() }),
      })),
      ...signerFaults.map((fault) => ({
        kind: nameOfSigner(fault),
        ask: () => this.#sign({ ...fault, count: count() }),
      })),
      {
        kind: nameOfSigner(hanging),
        // Who meets it ends by it; and one that has lost its session starts the library anew, too.
        ask: () => this.#sign({ ...hanging, spared: this.#kills.spared }),
        isOfStart: true,
      },
      ...stubFaults.map((fault) => ({
        kind: nameOfStub(fault),
        ask: () => this.#tellStub({ ...fault, count: count() }),
        isOfStart: true,
      })),
      { kind: killedWorker, ask: () => this.#kills.ask() },
      {
        kind: stormyDeliveries,
        ask: () => {
          deliver(stormy);
          note(stormyDeliveries);
        },
      },
      { ask: () => deliver(calm) },
    ];
  }

  /** Notes what has happened of those that were asked for, and asks for the next; without one, for none. */
  #sign(next?: Fault): void {
    const { local, note } = this.#options;
    const pending = readFaults(local.shim.faults);
    const left = (kind: string) => pending.find((fault) => nameOfSigner(fault) === kind)?.count ?? 0;
    for (const [kind, times] of timesMet(this.#signerFaults, left)) note(kind, times);
    const asked = next && {
      kind: nameOfSigner(next),
      count: next.count,
      isOfStart: next.fault === hanging.fault,
      fault: next,
    };
    this.#signerFaults = asked === undefined ? [] : pendingWith(asked, this.#signerFaults, left);
    writeFaults(
      local.shim.faults,
      this.#signerFaults.map(({ fault }) => fault),
    );
  }

  /** Likewise; all of them are of a start, at which the PIN is unsealed. */
  async #tellStub(next?: FaultRequest & { readonly count: number }): Promise<void> {
    const { local, note } = this.#options;
    const endpoint = `${local.stubEndpoint}/_stub`;
    const state = await fetch(`${endpoint}/state`);
    const { faults: pending } = (await state.json()) as {
      faults: readonly (FaultRequest & { readonly remaining: number })[];
    };
    const left = (kind: string) => pending.find((fault) => nameOfStub(fault) === kind)?.remaining ?? 0;
    for (const [kind, times] of timesMet(this.#stubFaults, left)) note(kind, times);
    const asked = next && { kind: nameOfStub(next), count: next.count, isOfStart: true, fault: next };
    this.#stubFaults = asked === undefined ? [] : pendingWith(asked, this.#stubFaults, left);
    const answer = await fetch(`${endpoint}/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ faults: this.#stubFaults.map(({ fault }) => fault) }),
    });
    if (!answer.ok) throw new Error(`The stub refuses the faults: ${await answer.text()}`);
  }
}
