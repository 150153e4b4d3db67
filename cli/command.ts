import type { Command, OptionValues } from 'commander';
import type { Session } from './session.ts';

/**
 * - 0: all is well.
 * - 1: the answer is bad: a critical finding, a request that was not issued, nothing found to show.
 * - 2: it was used wrongly, or its surroundings are not as they must be (errors.ts).
 * - 130: interrupted (128 + SIGINT, as shells have it).
 */
export type ExitCode = 0 | 1 | 2 | 130;

/** What a command found out, for people (a line each) and for programs; or, where it wrote as it went, only how it ended. */
export type Result =
  | { readonly exitCode: ExitCode; readonly lines: readonly string[]; readonly json: unknown }
  | { readonly exitCode: ExitCode; readonly written: true };

export interface CommandDefinition<Options> {
  /** What the help says besides the summary: sentences. */
  readonly details?: readonly string[];
  /** It looks at files alone: no stage need be named for it. */
  readonly isOffline?: true;
  /** Declares arguments and options; what can be wrong with a value alone is found by its parser (values.ts). */
  readonly declare: (command: Command) => Command;
  /** @param args as given, in the order of the declared arguments; a variadic one's values one by one */
  readonly run: (session: Session, options: Options, args: readonly string[]) => Promise<Result>;
}

export type CommandModule = CommandDefinition<OptionValues>;

/** One command: the one thing that a file of `commands` exports. `Options` is what `declare` declares. */
export const defineCommand = <Options>(definition: CommandDefinition<Options>): CommandModule => ({
  ...definition,
  run: (session, options, args) => definition.run(session, options as Options, args),
});

/** A command in the list of them (commands/index.ts). */
export interface CommandEntry {
  /** `['certificates', 'list']` */
  readonly name: readonly [string] | readonly [group: string, name: string];
  /** A sentence without capital and full stop, for the list of commands. */
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
}

/** With its file, where that has been loaded. */
export interface LoadedEntry extends CommandEntry {
  readonly module?: CommandModule;
}

/** Loads the commands that may be meant by these words: all whose names are among them. */
export const loadTyped = (entries: readonly CommandEntry[], words: readonly string[]): Promise<LoadedEntry[]> =>
  Promise.all(
    entries.map(async (entry) =>
      entry.name.every((word) => words.includes(word)) ? { ...entry, module: await entry.load() } : entry,
    ),
  );
