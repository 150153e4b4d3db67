import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { type BreakGlassFacts, makeBreakGlass, maximumShares } from './break-glass.ts';
import { type WrittenBreakGlass, writeBreakGlass } from './break-glass-files.ts';
import { UsageError } from './errors.ts';
import { countTo, notEmpty } from './values.ts';

export interface BreakGlassOptions {
  readonly breakGlass?: string;
  readonly shares?: number;
  readonly threshold?: number;
}

export const declareBreakGlass = (command: Command): Command =>
  command
    .option('--break-glass <folder>', 'an offline copy of the PIN, and a share of its key for each holder', notEmpty)
    .option('--shares <count>', 'how many holders there are', countTo(maximumShares))
    .option('--threshold <count>', 'how many of them open it, 2 or more', countTo(maximumShares));

export interface BreakGlassPlan {
  readonly folder: string;
  readonly shares: number;
  readonly threshold: number;
}

/** @returns undefined where none is wanted. @throws UsageError */
export function breakGlassPlan({ breakGlass, shares, threshold }: BreakGlassOptions): BreakGlassPlan | undefined {
  if (breakGlass === undefined) {
    if (shares === undefined && threshold === undefined) return undefined;
    throw new UsageError('--shares and --threshold go with --break-glass.', 'Name the folder for the copy.');
  }
  if (shares === undefined || threshold === undefined) {
    throw new UsageError('A break-glass copy is for a number of holders.', 'Give --shares and --threshold.');
  }
  if (threshold < 2) {
    throw new UsageError('With a threshold of 1 each share would be the key.', 'Let it take two holders or more.');
  }
  if (threshold > shares) {
    throw new UsageError(`${shares} holders never are ${threshold}.`, 'Let --threshold be --shares at the most.');
  }
  return { folder: breakGlass, shares, threshold };
}

export interface MadeBreakGlass extends WrittenBreakGlass {
  readonly fingerprint: string;
}

/** @returns undefined where none is wanted. @throws UsageError where it cannot be written */
export async function makeBreakGlassFiles(
  plan: BreakGlassPlan | undefined,
  pin: Uint8Array,
  facts: Omit<BreakGlassFacts, 'shares' | 'threshold'>,
): Promise<MadeBreakGlass | undefined> {
  if (plan === undefined) return undefined;
  const { folder, shares, threshold } = plan;
  const all = { ...facts, shares, threshold };
  const texts = await makeBreakGlass(pin, all, randomBytes);
  return { ...writeBreakGlass(folder, all, texts), fingerprint: texts.fingerprint };
}

/** As --json has it. */
export const breakGlassJson = (made: MadeBreakGlass | undefined) =>
  made === undefined ? null : { fingerprint: made.fingerprint, copy: made.copy, shares: made.shares };

export const breakGlassLines = (made: MadeBreakGlass | undefined): string[] =>
  made === undefined
    ? []
    : [
        '',
        `Break-glass copy ${made.fingerprint.slice(0, 16)}: ${made.copy}`,
        ...made.shares.map((path) => `  share: ${path}`),
        'Each share is SECRET: give each holder one, on a medium of its own, and delete them here. Whether they open the copy, without',
        'showing the PIN: mintmark pin recover, with the copy and as many shares as it takes.',
      ];
