import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { userCache } from '../setup/machine.mjs';

/** LocalStack ended, or did not come up. The message says what happened, what to do, and what its log says. */
export class LocalStackDied extends Error {
  /** Another program took its port. */
  readonly portWasLost: boolean;

  constructor(message: string, portWasLost: boolean) {
    super(message);
    this.name = 'LocalStackDied';
    this.portWasLost = portWasLost;
  }
}

/** How LocalStack ended. */
export type End =
  | { readonly kind: 'exit'; readonly code: number }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals }
  /** It was never there. */
  | { readonly kind: 'not started'; readonly why: string }
  /** It runs, and does not answer. */
  | { readonly kind: 'silent'; readonly seconds: number };

export interface Circumstances {
  readonly port: number;
  readonly logFile: string;
  /** Folder that the log is copied into, since LocalStack's own goes with it; in the user's cache folder by default. */
  readonly logKeptIn: string | undefined;
  /** How to get another LocalStack when this one is broken. */
  readonly reinstall: string;
}

/** Never throws: it is told when something has gone wrong already. */
export function diedOf(end: End, circumstances: Circumstances): LocalStackDied {
  return new LocalStackDied(describeDeath(end, circumstances, keepLog(circumstances)), portWasLost(end));
}

type KeptLog = { readonly path: string; readonly text: string } | { readonly lost: string };

function keepLog({ logFile, logKeptIn: folder = join(userCache, 'log') }: Circumstances): KeptLog {
  const path = join(folder, 'localstack.log');
  try {
    mkdirSync(folder, { recursive: true });
    copyFileSync(logFile, path);
    return { path, text: readFileSync(path, 'utf8') };
  } catch (error) {
    return { lost: error instanceof Error ? error.message : String(error) };
  }
}

export function describeDeath(end: End, circumstances: Circumstances, log: KeptLog): string {
  return `${whatHappened(end)} ${cureOf(end, circumstances)} ${describeLog(log)}`;
}

function describeLog(log: KeptLog): string {
  if ('lost' in log) return `Its log could not be kept: ${log.lost}`;
  const lines = linesThatMatter(log.text);
  if (lines.length === 0) return `Its log, ${log.path}, is empty.`;
  return `Its log is in ${log.path}, ending:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}

function whatHappened(end: End): string {
  switch (end.kind) {
    case 'exit':
      return `LocalStack ended by itself (exit code ${end.code}).`;
    case 'signal':
      return `LocalStack ended by itself (${end.signal}).`;
    case 'not started':
      return `LocalStack could not be started (${end.why}).`;
    case 'silent':
      return `LocalStack did not answer within ${end.seconds} s.`;
  }
}

/** Of LocalStack that cannot listen on its port (executor/mintmark_localstack/identity.py): EADDRINUSE, mostly. */
const cannotListen = 98;

const portWasLost = (end: End): boolean => end.kind === 'exit' && end.code === cannotListen;

function cureOf(end: End, { port, reinstall }: Circumstances): string {
  if (portWasLost(end)) {
    return `Another program took port ${port} on 127.0.0.1 before LocalStack had it: run the same again.`;
  }
  if (end.kind === 'signal') {
    return 'Something else killed it, as the system does when memory runs out: end what else needs much of it, then run the same again.';
  }
  if (end.kind === 'silent') {
    return 'The machine may be too busy for it: end what else runs there, then run the same again.';
  }
  return `Run the same again; if it ends like this each time, ${reinstall}.`;
}

/** The last of them, without what LocalStack says of each request. */
function linesThatMatter(log: string): string[] {
  return log
    .split('\n')
    .filter((line) => line.trim() !== '' && !/ INFO --- .* => 2\d\d$/.test(line))
    .slice(-15);
}
