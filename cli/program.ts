import { Command, Help, type Option, type OptionValues } from 'commander';
import type { CommandModule, LoadedEntry } from './command.ts';

/** Options of every command. */
export interface CommonOptions {
  readonly json?: true;
  readonly stage?: string;
  readonly prefix?: string;
}

/** What was typed. */
export interface Invocation {
  readonly module: CommandModule;
  readonly options: OptionValues & CommonOptions;
  readonly args: readonly string[];
}

interface Surroundings {
  readonly version: string;
  readonly writeOut: (text: string) => void;
  /** Undefined: 100. */
  readonly columns?: number | undefined;
  readonly onInvocation: (invocation: Invocation) => void;
}

const about: readonly string[] = [
  'Certificates for device fleets: ask for them, see what was issued, see what is wrong.',
  'Region, account and credentials are taken from where the AWS tools take them: AWS_PROFILE, AWS_REGION, and for the ' +
    'local cloud the variables that npm start prints.',
  'Exit codes: 0 all is well; 1 the answer is bad (a critical finding, a request that was not issued, nothing found); ' +
    '2 wrong use, or no way to AWS; 130 interrupted.',
];

/**
 * The command line as commander knows it, with the commands that are loaded. It writes help and nothing else; whatever is wrong is thrown as a
 * CommanderError.
 */
export function buildProgram(
  entries: readonly LoadedEntry[],
  groups: Readonly<Record<string, string>>,
  { version, writeOut, columns = 100, onInvocation }: Surroundings,
): Command {
  const program = new Command('mintmark')
    .description(about.join('\n\n'))
    .version(version, '--version', 'print the version')
    .helpOption('--help', 'print this')
    .option('--json', 'write one JSON value to stdout, and nothing else')
    .option('--stage <name>', 'the stage; else MINTMARK_STAGE, and where AWS_ENDPOINT_URL is set, local')
    .option('--prefix <prefix>', "what the stage's resources are called by; else MINTMARK_PREFIX, and mintmark-<stage>")
    .helpCommand(false)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, helpWidth: columns, optionDescription: describeOption })
    .configureOutput({ writeOut, writeErr: () => {}, getOutHelpWidth: () => columns });
  const groupCommands = new Map(
    Object.entries(groups).map(([name, description]) => [name, new Command(name).description(description)]),
  );
  for (const { name, summary, module } of entries) {
    const [first, second] = name;
    const parent = second === undefined ? program : groupCommands.get(first);
    if (parent === undefined) throw new Error(`There is no group ${first}.`);
    const command = new Command(second ?? first).summary(summary);
    attach(program, command);
    if (module !== undefined) {
      module.declare(command);
      command.description([sentence(summary), ...(module.details ?? [])].join(' ')).action((...given: unknown[]) => {
        // What was declared as variadic comes as an array; the last two are the options and the command itself.
        const args = given.slice(0, -2).flat() as string[];
        onInvocation({ module, options: command.optsWithGlobals(), args });
      });
    }
    parent.addCommand(command);
  }
  for (const [name, group] of groupCommands) {
    if (!entries.some(({ name: [first, second] }) => first === name && second !== undefined)) continue;
    attach(program, group);
    program.addCommand(group);
  }
  return program;
}

/** What must be given is said, as commander does not; the arguments that must be are in angle brackets. */
const describeOption = (option: Option): string =>
  `${new Help().optionDescription(option)}${option.mandatory ? ' (required)' : ''}`;

const sentence = (summary: string): string => `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;

/** Help, output and how it ends are the program's for all commands. */
function attach(program: Command, command: Command): void {
  command.copyInheritedSettings(program).helpOption('--help', 'print this').helpCommand(false);
}
