import { randomUUID } from 'node:crypto';

export interface ScheduleOptions {
  /** Milliseconds between two invocations; the first is that long after the start. */
  readonly every: number;
  readonly region: string;
  readonly accountId: string;
  /** Rejects for nothing that the function does. */
  invoke(event: unknown): Promise<unknown>;
  /** Milliseconds since the epoch. */
  now(): number;
}

/**
 * A rule that invokes a function at a rate. While an invocation runs, the next is left out: the functions with a schedule
 * have a reserved concurrency of 1.
 */
export class Schedule {
  readonly #options: ScheduleOptions;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<unknown> | undefined;

  constructor(options: ScheduleOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#fire(), options.every);
  }

  /** Fires no more; what runs is the function's own to end. */
  stop(): void {
    clearInterval(this.#timer);
  }

  #fire(): void {
    if (this.#running !== undefined) return;
    this.#running = this.#options.invoke(this.#event()).finally(() => {
      this.#running = undefined;
    });
  }

  /** Amazon EventBridge user guide, "Creating an Amazon EventBridge rule that runs on a schedule": what a target gets. */
  #event(): unknown {
    const { region, accountId } = this.#options;
    return {
      version: '0',
      id: randomUUID(),
      'detail-type': 'Scheduled Event',
      source: 'aws.events',
      account: accountId,
      time: new Date(this.#options.now()).toISOString().replace(/\.\d+Z$/, 'Z'),
      region,
      resources: [],
      detail: {},
    };
  }
}
