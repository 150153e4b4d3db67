import { Command, CommanderError, InvalidArgumentError, Option, type OptionValues } from 'commander';
import { UsageError } from '../../cli/errors.ts';
import { crash, crashOnLocalStack } from './crash.ts';
import type { DrillOptions, DrillResult } from './drill.ts';
import { outage, outageOnLocalStack } from './outage.ts';
import { soak } from './soak.ts';
import { storm } from './storm.ts';

type CloudName = 'embedded' | 'localstack';

/** What was typed. */
export interface Typed {
  readonly name: string;
  /** undefined: to be drawn. */
  readonly seed: number | undefined;
  /** What plays AWS. */
  readonly cloud: CloudName;
  readonly run: (common: DrillOptions) => Promise<DrillResult>;
}

interface Drill {
  readonly name: string;
  /** For the list of drills. */
  readonly summary: string;
  /** What its help says besides: sentences. */
  readonly details: readonly string[];
  readonly declare: (command: Command) => Command;
  readonly run: (options: OptionValues, common: DrillOptions) => Promise<DrillResult>;
}

const define = <Options>(
  drill: Omit<Drill, 'run'> & { readonly run: (options: Options, common: DrillOptions) => ReturnType<Drill['run']> },
): Drill => ({ ...drill, run: (options, common) => drill.run(options as Options, common) });

/** @returns a parser of whole numbers between these, both included */
function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (number >= least && number <= most) return number;
    throw new InvalidArgumentError(`It is a whole number from ${least} to ${most}.`);
  };
}

const number = (flags: string, description: string, least: number, most: number): Option =>
  new Option(flags, `${description}; from ${least} to ${most}`).argParser(wholeNumber(least, most));

const mostRequests = 100_000;
/** Whatever more is compressed is less than a second, in which SQS and the parameters count. */
const mostCompression = 60;
const mostSeed = 999_999_999;

const onCloud = (...names: readonly CloudName[]): Option =>
  new Option('--cloud <name>', 'what plays AWS').choices(names).default('embedded');

interface RequestOptions {
  readonly cloud: CloudName;
  readonly requests?: number;
}

/** With the fewest that can show what each is about, and the most that this machine can be expected to take. */
const drills: readonly Drill[] = [
  define<RequestOptions>({
    name: 'crash',
    summary: "the issue function's processes are killed, everywhere",
    details: [
      'SIGKILL before and after each call of AWS and each signature, and at random times, while the queue delivers again what',
      'was left. It takes three minutes, and half a minute with 20 requests; on LocalStack one or two, and its start. With fewer',
      'than 400 requests (on LocalStack 100) there are fewer kills, and what they did not reach is named.',
    ],
    declare: (command) =>
      command
        .addOption(number('--requests <count>', 'default: 500, on LocalStack 100', 1, mostRequests))
        .addOption(onCloud('embedded', 'localstack')),
    run: ({ cloud, requests }, common) =>
      cloud === 'embedded'
        ? crash({ ...common, requests: requests ?? 500 })
        : crashOnLocalStack({ ...common, requests: requests ?? 100 }),
  }),
  define<RequestOptions & { readonly compression: number; readonly cold?: true }>({
    name: 'outage',
    summary: 'the HSM cluster is gone for half an hour, compressed, and comes back',
    details: [
      'Answers what operators ask: can new certificates be issued, do existing ones still work, what fails, how long until the',
      'backlog is gone. It takes 1800 seconds divided by --compression, and half a minute; on LocalStack its start, too.',
    ],
    declare: (command) =>
      command
        .addOption(number('--requests <count>', 'default: 300, on LocalStack 60', 10, mostRequests))
        .addOption(number('--compression <factor>', 'seconds at AWS that are one here', 1, mostCompression).default(30))
        .option('--cold', 'no request before it: the whole fleet of functions starts in the outage')
        .addOption(onCloud('embedded', 'localstack')),
    run: ({ cloud, requests, compression, cold }, common) => {
      const options = { ...common, compression, isCold: cold === true };
      return cloud === 'embedded'
        ? outage({ ...options, requests: requests ?? 300 })
        : outageOnLocalStack({ ...options, requests: requests ?? 60 });
    },
  }),
  define<{ readonly requests: number; readonly copies: number }>({
    name: 'storm',
    summary: 'every request comes up to 20 times at once',
    details: ['So that several workers have a copy each at the same moment. It takes a minute.'],
    declare: (command) =>
      command
        .addOption(number('--requests <count>', 'different ones', 10, mostRequests).default(200))
        .addOption(number('--copies <count>', 'how often one comes at most', 2, 1_000).default(20))
        .addOption(onCloud('embedded')),
    run: ({ requests, copies }, common) => storm({ ...common, requests, copies }),
  }),
  define<{ readonly minutes: number; readonly rate: number }>({
    name: 'soak',
    summary: 'steady load with random faults of every kind',
    details: [
      'DynamoDB, SNS, SQS, KMS, the HSM, late and repeated deliveries, killed workers; the memory of workers is measured. It',
      'takes --minutes, and then until the last request has its certificate: less than a minute where the machine is quick and',
      'idle, up to a quarter of an hour where it is slow. Every kind of fault, and memory, are judged from 5 minutes on.',
    ],
    declare: (command) =>
      command
        .addOption(number('--minutes <count>', 'of load', 1, 10_080).default(5))
        .addOption(
          number('--rate <count>', 'requests a second; fewer where the machine does not keep up', 1, 200).default(10),
        )
        .addOption(onCloud('embedded')),
    run: ({ minutes, rate }, common) => soak({ ...common, minutes, rate }),
  }),
];

const names = drills.map(({ name }) => name).join(', ');

interface Surroundings {
  readonly writeOut: (text: string) => void;
  /** Of whoever reads the help. */
  readonly columns: number;
}

/**
 * What is typed after `npm run drill --`.
 * @returns undefined when help was asked for, and written
 * @throws UsageError
 */
export function readTyped(args: readonly string[], { writeOut, columns }: Surroundings): Typed | undefined {
  let typed: Typed | undefined;
  const program = new Command('npm run drill --')
    .description(
      'Breaks a local cloud of its own while requests are under way, and then accounts for every request, row, signature and certificate.\n\n' +
        'Exit codes: 0 the drill has passed; 1 it has failed; 2 wrong use, or no way to run it; 130 interrupted.',
    )
    .addOption(number('--seed <number>', 'decides the faults; default: one that is drawn and told', 1, mostSeed))
    .option('--json', 'write the figures as one JSON value to stdout, and nothing else')
    .helpOption('--help', 'print this')
    .helpCommand(false)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, helpWidth: columns })
    .configureOutput({ writeOut, writeErr: () => {}, getOutHelpWidth: () => columns });
  for (const { name, summary, details, declare, run } of drills) {
    const command = declare(new Command(name).summary(summary).copyInheritedSettings(program));
    command
      .helpOption('--help', 'print this')
      .description([`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`, ...details].join(' '))
      .action(() => {
        const { seed, ...options } = command.optsWithGlobals<{ seed?: number; cloud: CloudName }>();
        typed = { name, seed, cloud: options.cloud, run: (common) => run(options, common) };
      });
    program.addCommand(command);
  }
  try {
    program.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw wrongUse(error, args);
  }
  return typed;
}

function wrongUse({ code, message }: CommanderError, args: readonly string[]): UsageError {
  const named = drills.find(({ name }) => args.includes(name))?.name;
  if (code === 'commander.help') return new UsageError('It is not said which drill.', `The drills are: ${names}.`);
  // Its sentence begins with `error: `, has what may have been meant in a line of its own, and no full stop.
  const [first = '', ...more] = message.replace(/^error: /, '').split('\n');
  const sentence = `${first.charAt(0).toUpperCase()}${first.slice(1)}${/[.)]$/.test(first) ? '' : '.'}`;
  if (code === 'commander.unknownCommand') {
    return new UsageError(sentence.replace('Unknown command', 'There is no drill'), `The drills are: ${names}.`);
  }
  return new UsageError(
    [sentence, ...more].join(' '),
    `See npm run drill -- ${named ?? ''} --help.`.replace('  ', ' '),
  );
}
