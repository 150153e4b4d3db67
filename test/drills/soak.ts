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
import { Deliveries } from './deliveries.ts';
import { type DrillOptions, type DrillResult, type EmbeddedDrillCloud, withEmbeddedCloud } from './drill.ts';
import { type FleetRequest, makeFleet, sendAll } from './fleet.ts';
import { heapRecordVariable, readHeapRecord } from './heap-record.ts';
import { killProcess } from './kills.ts';
import { memoryTrend, warmUp } from './memory.ts';
import { settle } from './settle.ts';

export interface SoakOptions extends DrillOptions {
  readonly minutes: number;
  /** Requests a second. */
  readonly rate: number;
}

/** In the order in which `--json` has them. */
export interface SoakFigures extends RequestFigures {
  readonly requests: number;
  readonly minutes: number;
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
  { fault: 'hang-initialize', milliseconds: 3_000 },
];

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
  const calls = new CallFaults();
  let chances = calm;
  const parameters = {
    visibilityTimeout: '6',
    maxReceiveCount: '1000',
    giveUpAfterSeconds: '2400',
    signBeforeSeconds: '45',
    issueConcurrency: '2',
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
  const drilled = withEmbeddedCloud('soak', { parameters, conditions, functionEnvironment }, async (local) => {
    const faults = new Faults(local, calls, random.named('faults'), (next) => {
      chances = next;
    });
    const ending = new AbortController();
    const disturbing = faults.run(ending.signal);
    const { requests, deliveries, workers } = await load(local, options, random);
    const memory = memoryTrend(readHeapRecord(heapRecord).filter(({ processId }) => workers.has(processId)));
    ending.abort();
    await disturbing;
    await settle(local, requests, deliveries, patience, (issued) =>
      options.onProgress(`${issued} of ${requests.length} issued, ${faults.happened} faults`),
    );
    await deliveries.stop();
    const { figures, problems, canaries } = await accountFor(local, requests, deliveries);
    return {
      figures: {
        requests: requests.length,
        minutes: options.minutes,
        faults: faults.happened,
        ...figures,
        memoryKiB: memory.maximum,
        memorySlope: rounded(memory.resident),
        heapSlope: rounded(memory.live),
      },
      remarks: [
        ...[...faults.kinds].sort().map(([kind, times]) => `${times} times ${kind}`),
        `${deliveries.announcements} announcements, ${canaries} signatures of the canary`,
      ],
      problems: [...problems, ...memoryProblems(options.minutes, memory.live)],
    };
  });
  return drilled.finally(() => rmSync(folder, { recursive: true }));
}

const rounded = (slope: number | null): number | null => (slope === null ? null : Math.round(slope));

/** The load, until its time is over. */
async function load(local: EmbeddedDrillCloud, { minutes, rate, onProgress }: SoakOptions, random: SeededRandom) {
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
    onProgress(`${second} s: ${requests.length} requests, ${deliveries.requests} with a certificate`);
    await delay(Math.max(0, (second + 1) * 1000 - (performance.now() - start)));
  }
  return { requests, deliveries, workers };
}

/** One fault after another. */
class Faults {
  readonly #local: EmbeddedDrillCloud;
  readonly #calls: CallFaults;
  readonly #random: SeededRandom;
  readonly #deliver: (chances: DeliveryChances) => void;
  readonly #kinds = new Map<string, number>();
  #signatures = 0;
  #others = 0;
  #spared: number | undefined;

  constructor(
    local: EmbeddedDrillCloud,
    calls: CallFaults,
    random: SeededRandom,
    deliver: (chances: DeliveryChances) => void,
  ) {
    this.#local = local;
    this.#calls = calls;
    this.#random = random;
    this.#deliver = deliver;
  }

  get happened(): number {
    return this.#calls.happened + this.#signatures + this.#others;
  }

  /** How often each was asked for. */
  get kinds(): ReadonlyMap<string, number> {
    return this.#kinds;
  }

  /** Until the signal; then everything is well again. */
  async run(signal: AbortSignal): Promise<void> {
    writeFaults(this.#local.shim.faults, []);
    while (!signal.aborted) {
      await this.#next();
      const pause = -Math.log(1 - this.#random.fraction()) * meanPause;
      // Cut short by the end.
      await delay(pause, undefined, { signal }).catch(() => undefined);
    }
    this.#calls.set();
    this.#sign([]);
    this.#deliver(calm);
    await this.#tellStub([]);
  }

  async #next(): Promise<void> {
    const count = 1 + this.#random.below(longestBurst);
    const kind = this.#random.below(20);
    if (kind === 0) return this.#kill();
    if (kind === 1) return this.#note('stormy deliveries', () => this.#deliver(stormy));
    if (kind === 2) return this.#note('calm deliveries', () => this.#deliver(calm));
    if (kind === 3) {
      const fault = this.#random.pick(stubFaults);
      return this.#note(`kms ${fault.operation} ${fault.effect ?? fault.code}`, () =>
        this.#tellStub([{ ...fault, count }]),
      );
    }
    if (kind < 8) {
      const fault = this.#random.pick(signerFaults);
      return this.#note(`hsm ${fault.fault}`, () => this.#sign([{ ...fault, count }]));
    }
    const { service, operations, effects } = this.#random.pick(callFaults);
    const operation = this.#random.pick(operations);
    const effect = this.#random.pick(effects);
    const name = effect.effect === 'error' ? effect.code : effect.effect;
    return this.#note(`${service} ${operation} ${name} ${effect.when}`, () =>
      this.#calls.add({ ...effect, service, operation, count }),
    );
  }

  async #note(kind: string, happen: () => void | Promise<void>): Promise<void> {
    this.#count(kind);
    await happen();
  }

  #count(kind: string): void {
    this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1);
  }

  /** Never the one worker that is spared until it ends otherwise: its memory must have time to show something. */
  #kill(): void {
    const pids = this.#local.cloud.functions['issue']?.pids() ?? [];
    if (this.#spared === undefined || !pids.includes(this.#spared)) this.#spared = pids[0];
    const others = pids.filter((pid) => pid !== this.#spared);
    if (others.length === 0) return;
    this.#others += 1;
    killProcess(this.#random.pick(others));
    this.#count('killed worker');
  }

  /** In place of those that are left over. */
  #sign(faults: readonly Fault[]): void {
    const { faults: path } = this.#local.shim;
    const asked = faults.reduce((total, { count }) => total + count, 0);
    this.#signatures += asked - this.#leftOver();
    writeFaults(path, faults);
  }

  #leftOver(): number {
    return readFaults(this.#local.shim.faults).reduce((total, { count }) => total + count, 0);
  }

  async #tellStub(faults: readonly FaultRequest[]): Promise<void> {
    this.#others += faults.reduce((total, { count = 1 }) => total + count, 0);
    const answer = await fetch(`${this.#local.stubEndpoint}/_stub/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ faults }),
    });
    if (!answer.ok) throw new Error(`The stub refuses the faults: ${await answer.text()}`);
  }
}
