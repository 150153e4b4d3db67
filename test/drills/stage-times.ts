import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

const deploy = new URL('../../deploy/', import.meta.url);
const read = (file: string): unknown => parse(readFileSync(new URL(file, deploy), 'utf8'));

const { default: defaults } = read('parameters.yml') as { readonly default: Readonly<Record<string, unknown>> };

/** A parameter that every stage at AWS has, in seconds, unless it says otherwise. @throws Error where there is none */
export function secondsAtAws(name: string): number {
  const value = defaults[name];
  if (typeof value !== 'number') throw new Error(`deploy/parameters.yml has no number ${name} for every stage.`);
  return value;
}

/** Seconds between two invocations by a schedule that is a parameter. @throws Error where it is none in minutes */
export function intervalAtAws(name: string): number {
  const [, minutes] = /^rate\((\d+) minutes?\)$/.exec(String(defaults[name])) ?? [];
  if (minutes === undefined)
    throw new Error(`deploy/parameters.yml has no schedule ${name} in minutes for every stage.`);
  return Number(minutes) * 60;
}

/**
 * What a time of a stage is when time passes `compression` times as fast: SQS and the functions count in whole seconds, of
 * which there is at least one. Pure.
 */
export const compressedSeconds = (seconds: number, compression: number): number =>
  Math.max(1, Math.round(seconds / compression));
