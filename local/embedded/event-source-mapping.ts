import { setTimeout as delay } from 'node:timers/promises';
import type { Message } from '@aws-sdk/client-sqs';
import type { SQSEvent } from 'aws-lambda';
import type { InvocationOutcome } from '../lambda/protocol.ts';
import type { MessageSource } from './message-source.ts';
import { sqsEvent, succeeded } from './sqs-event.ts';

export interface EventSourceMappingOptions {
  readonly uuid: string;
  readonly eventSourceArn: string;
  readonly functionArn: string;
  readonly region: string;
  readonly batchSize: number;
  /** Batches in flight at once, so execution environments too. */
  readonly maximumConcurrency: number;
  readonly reportBatchItemFailures: boolean;
  readonly enabled: boolean;
  /** Milliseconds for which a mapping that is being paused still delivers. */
  readonly pauseLag: number;
  readonly source: MessageSource;
  invoke(event: SQSEvent): Promise<InvocationOutcome>;
  now(): number;
  /** What keeps the mapping from its work, other than the function failing. */
  onProblem(text: string): void;
}

/** As in EventSourceMappingConfiguration (AWS Lambda API reference). */
export type MappingState = 'Enabled' | 'Disabling' | 'Disabled';

/** Milliseconds before a poller whose queue does not answer asks again. */
const retryAfter = 1_000;

/**
 * An SQS event source mapping: each poller receives a batch, invokes the function with it, deletes what succeeded, and
 * again. What failed is left to its visibility timeout, and to the queue's redrive policy in the end.
 */
export class EventSourceMapping {
  readonly options: EventSourceMappingOptions;
  #state: MappingState = 'Disabled';
  #lastModified: number;
  #lastProcessingResult = 'No records processed';
  #pollers: Promise<unknown> = Promise.resolve();
  /** On the clock of `performance`: until then a mapping that is being paused still delivers. */
  #pausedAt = 0;
  readonly #stopped = new AbortController();

  constructor(options: EventSourceMappingOptions) {
    this.options = options;
    this.#lastModified = options.now();
    if (options.enabled) this.enable();
  }

  get state(): MappingState {
    return this.#state;
  }

  /** Milliseconds since the epoch. */
  get lastModified(): number {
    return this.#lastModified;
  }

  get lastProcessingResult(): string {
    return this.#lastProcessingResult;
  }

  /** Starts the pollers of a disabled mapping. */
  enable(): void {
    if (this.#state !== 'Disabled') return;
    this.#enter('Enabled');
    this.#pollers = Promise.all(Array.from({ length: this.options.maximumConcurrency }, () => this.#poll()));
  }

  /** Disabling until what the pollers hold, or are given in the meantime, has been through the function: then Disabled. */
  disable(): void {
    if (this.#state !== 'Enabled') return;
    this.#pausedAt = performance.now() + this.options.pauseLag;
    this.#enter('Disabling');
    void this.#pollers.then(() => this.#enter('Disabled'));
  }

  /** Receives nothing more; resolves when the batches in flight are done. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.disable();
    await this.#pollers;
  }

  #enter(state: MappingState): void {
    this.#state = state;
    this.#lastModified = this.options.now();
  }

  async #poll(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted && (this.#state === 'Enabled' || performance.now() < this.#pausedAt)) {
      try {
        const messages = await this.options.source.receive(this.options.batchSize, signal);
        if (messages.length > 0) await this.#process(messages);
      } catch (error) {
        if (signal.aborted) return;
        const problem = error instanceof Error ? error.message : String(error);
        this.#lastProcessingResult = `PROBLEM: ${problem}`;
        this.options.onProblem(problem);
        // Cut short by `stop`, and then there is nothing more to do.
        await delay(retryAfter, undefined, { signal }).catch(() => {});
      }
    }
  }

  async #process(messages: readonly Message[]): Promise<void> {
    const { eventSourceArn, region, reportBatchItemFailures, source } = this.options;
    const outcome = await this.options.invoke(sqsEvent(messages, { arn: eventSourceArn, region }));
    const done = succeeded(messages, outcome, reportBatchItemFailures);
    if (done.length > 0) await source.delete(done);
    this.#lastProcessingResult = 'error' in outcome ? 'PROBLEM: Function call failed' : 'OK';
  }
}
