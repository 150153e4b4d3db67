import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Interrupted } from '../../cli/interruptible.ts';
import type { EmbeddedCloud } from '../../local/embedded/cloud.ts';
import { type EmbeddedLocalCloudOptions, startEmbeddedLocalCloud } from '../../local/embedded-cloud.ts';
import type { Cloud, LocalCloud } from '../../local/local-cloud.ts';
import { projectCache } from '../../local/setup/machine.mjs';

/** What every drill is told. */
export interface DrillOptions {
  /** Decides which faults come when; what the processes make of the time between them is theirs. */
  readonly seed: number;
  /** A sentence about how far the drill is, for whoever waits. */
  readonly onProgress: (text: string) => void;
  /** Ends it before its time: the cloud is stopped, and nothing is accounted for. */
  readonly signal: AbortSignal;
}

/** What every drill counts. */
export interface DrillFigures {
  readonly requests: number;
  /** Of them, those that have their certificate. */
  readonly issued: number;
}

export interface DrillResult<Figures extends DrillFigures = DrillFigures> {
  /** What `--json` prints, with the problems under `failed`. */
  readonly figures: Figures;
  /** Sentences for people, besides the figures. */
  readonly remarks: readonly string[];
  /** What must not be, a sentence each; empty when the drill has passed. */
  readonly problems: readonly string[];
}

export type EmbeddedDrillCloud = LocalCloud<EmbeddedCloud & Cloud>;

/** What the functions wrote in the last drill of this name, each line with its function and process. */
export const functionLogOf = (name: string): string => join(projectCache, `drill-${name}.log`);

/**
 * What comes of it, unless the signal says stop before.
 * @throws Interrupted
 */
export function untilInterrupted<Result>(signal: AbortSignal, work: Promise<Result>): Promise<Result> {
  const { promise: interrupted, reject } = Promise.withResolvers<never>();
  const interrupt = () => reject(new Interrupted());
  if (signal.aborted) interrupt();
  else signal.addEventListener('abort', interrupt, { once: true });
  return Promise.race([interrupted, work]).finally(() => signal.removeEventListener('abort', interrupt));
}

/**
 * An embedded cloud for the time of `use`, with parameters and conditions of its own.
 * @param name of the drill
 * @throws Interrupted
 */
export async function withEmbeddedCloud<Result>(
  name: string,
  { onProgress, signal }: Pick<DrillOptions, 'onProgress' | 'signal'>,
  options: Omit<EmbeddedLocalCloudOptions, 'onFunctionLog' | 'signing'>,
  use: (local: EmbeddedDrillCloud) => Promise<Result>,
): Promise<Result> {
  onProgress('The embedded cloud is started');
  mkdirSync(projectCache, { recursive: true });
  const log = createWriteStream(functionLogOf(name));
  try {
    const local = await startEmbeddedLocalCloud({
      ...options,
      onFunctionLog: ({ function: logicalId, pid, text }) => log.write(`${logicalId}[${pid}] ${text}\n`),
    });
    try {
      return await untilInterrupted(signal, use(local));
    } finally {
      await local.stop();
    }
  } finally {
    log.end();
  }
}
