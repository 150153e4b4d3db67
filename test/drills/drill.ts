import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
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
}

export interface DrillResult<Figures> {
  /** What `--json` prints, and nothing else. */
  readonly figures: Figures;
  /** Sentences for people, besides the figures. */
  readonly remarks: readonly string[];
  /** What must not be, a sentence each; empty when the drill has passed. */
  readonly problems: readonly string[];
}

export type EmbeddedDrillCloud = LocalCloud<EmbeddedCloud & Cloud>;

/** What the functions wrote in the last drill of this name, each line with its function and process. */
export const functionLogOf = (name: string): string => join(projectCache, `drill-${name}.log`);

/** An embedded cloud for the time of `use`, with parameters and conditions of its own. */
export async function withEmbeddedCloud<Result>(
  name: string,
  options: Omit<EmbeddedLocalCloudOptions, 'onFunctionLog' | 'signing'>,
  use: (local: EmbeddedDrillCloud) => Promise<Result>,
): Promise<Result> {
  mkdirSync(projectCache, { recursive: true });
  const log = createWriteStream(functionLogOf(name));
  try {
    const local = await startEmbeddedLocalCloud({
      ...options,
      onFunctionLog: ({ function: logicalId, pid, text }) => log.write(`${logicalId}[${pid}] ${text}\n`),
    });
    try {
      return await use(local);
    } finally {
      await local.stop();
    }
  } finally {
    log.end();
  }
}
