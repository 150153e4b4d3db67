import { PassThrough, Readable } from 'node:stream';
import { Command } from 'commander';
import { commands } from '../../cli/commands/index.ts';
import type { Clients, Session } from '../../cli/session.ts';
import { targetOf } from '../../cli/target.ts';
import type { Tables } from './tables.ts';

export interface CommandEnded {
  readonly exitCode: number;
  readonly lines: readonly string[];
  readonly json: unknown;
  readonly notes: readonly string[];
}

/**
 * Runs a command of `mintmark` in this process, on the tables of a test and by its clock; nothing but DynamoDB is there.
 * @param words the command's name, then its arguments
 */
export const runOnTables = (
  store: Pick<Tables, 'client'>,
  now: () => number,
  ...words: readonly string[]
): Promise<CommandEnded> => runWith(store, now, {}, words);

/** What else than the tables there is. */
export interface Surroundings {
  readonly clients?: Partial<Clients>;
  /** What comes through a pipe. */
  readonly input?: string | Uint8Array;
}

/** As `runOnTables`, with other things of AWS and a stdin besides. */
export async function runWith(
  store: Pick<Tables, 'client'>,
  now: () => number,
  { clients = {}, input = '' }: Surroundings,
  words: readonly string[],
): Promise<CommandEnded> {
  const entry = commands.find(({ name }) => name.every((word, index) => words[index] === word));
  if (entry === undefined) throw new Error(`There is no command ${words.join(' ')}.`);
  const module = await entry.load();
  const notes: string[] = [];
  const stream = () => Object.assign(new PassThrough(), { isTTY: false }).resume();
  const session = {
    target: () => targetOf({ stage: 'test', prefix: 'test' }, {}),
    clients: { dynamoDB: async () => store.client, ...clients },
    isJson: true,
    stdin: Object.assign(Readable.from([Buffer.from(input)]), { isTTY: false }),
    stdout: stream(),
    stderr: stream(),
    note: (line: string) => notes.push(line),
    explain: (error: unknown) => ({ message: String(error), cure: '' }),
    interrupted: new AbortController().signal,
    now,
  } as unknown as Session;
  const silent = { writeErr: () => undefined, writeOut: () => undefined };
  const command = module.declare(new Command().exitOverride().configureOutput(silent));
  command.parse(words.slice(entry.name.length), { from: 'user' });
  const result = await module.run(session, command.opts(), command.args);
  if ('written' in result) throw new Error(`${entry.name.join(' ')} writes as it goes.`);
  const { exitCode, lines, json } = result;
  return { exitCode, lines, json, notes };
}
