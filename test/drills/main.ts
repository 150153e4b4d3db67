/** `npm run drill -- NAME [--seed N] [--json] ...`: docs/drills.md says what each drill does. */
import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from '../../local/build.ts';
import { endWithParent } from '../../local/setup/parent-watch.ts';
import { crash, crashOnLocalStack } from './crash.ts';
import { type DrillOptions, type DrillResult, functionLogOf } from './drill.ts';
import { outage, outageOnLocalStack } from './outage.ts';
import { soak } from './soak.ts';
import { storm } from './storm.ts';

const usage = `Usage: npm run drill -- NAME [options]

  crash    the issue function's processes are killed, everywhere     --requests N (500)
  outage   the HSM cluster is gone for half an hour, compressed     --requests N (300) --compression N (30)
  storm    every request comes up to 20 times at once               --requests N (200) --copies N (20)
  soak     steady load with random faults of every kind             --minutes N (5) --rate N (10 requests/s)

  --cloud NAME what plays AWS: embedded, or localstack (crash and outage, with fewer requests)
  --seed N     decides the faults; default: one that is drawn and told
  --json       print the figures as one JSON value, and nothing else`;

const options = {
  seed: { type: 'string' },
  cloud: { type: 'string', default: 'embedded' },
  requests: { type: 'string' },
  compression: { type: 'string' },
  copies: { type: 'string' },
  minutes: { type: 'string' },
  rate: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

class UsageError extends Error {}

/** A whole number above 0. */
function count(name: string, text: string | undefined, standard: number): number {
  if (text === undefined) return standard;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--${name} takes a whole number above 0, not "${text}".`);
  return Number(text);
}

type Values = ReturnType<typeof parse>['values'];

const parse = () => parseArgs({ options, allowPositionals: true });

type Drill = (values: Values, common: DrillOptions) => Promise<DrillResult<object>>;

/** By what plays AWS; on LocalStack everything takes longer, so there is less of it. */
const drills: Readonly<Record<string, Readonly<Record<string, Drill>>>> = {
  embedded: {
    crash: (values, common) =>
      crash({
        ...common,
        requests: count('requests', values.requests, 500),
        each: 2,
        eachSignature: 6,
        limit: Infinity,
      }),
    outage: (values, common) =>
      outage({
        ...common,
        requests: count('requests', values.requests, 300),
        compression: count('compression', values.compression, 30),
      }),
    storm: (values, common) =>
      storm({
        ...common,
        requests: count('requests', values.requests, 200),
        copies: count('copies', values.copies, 20),
      }),
    soak: (values, common) =>
      soak({ ...common, minutes: count('minutes', values.minutes, 5), rate: count('rate', values.rate, 10) }),
  },
  localstack: {
    crash: (values, common) =>
      crashOnLocalStack({
        ...common,
        requests: count('requests', values.requests, 100),
        each: 0,
        eachSignature: 3,
        limit: 0,
      }),
    outage: (values, common) =>
      outageOnLocalStack({
        ...common,
        requests: count('requests', values.requests, 60),
        compression: count('compression', values.compression, 30),
      }),
  },
};

function read() {
  try {
    const { values, positionals } = parse();
    const inCloud = drills[values.cloud];
    if (inCloud === undefined) throw new UsageError(`--cloud takes ${Object.keys(drills).join(' or ')}.`);
    const drill = inCloud[positionals[0] ?? ''];
    if (drill === undefined || positionals.length !== 1) {
      throw new UsageError(
        `Name one drill; with --cloud ${values.cloud} there are ${Object.keys(inCloud).join(', ')}.`,
      );
    }
    return { values, drill, name: positionals[0] ?? '' };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** How many are told one by one. */
const maximumProblems = 20;

/** On stderr: where it is a terminal, one line that is written over. */
function show(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function run(): Promise<number> {
  const { values, drill, name } = read();
  const seed = count('seed', values.seed, 1 + Math.floor(performance.timeOrigin % 999_999_999));
  endWithParent(() => Promise.resolve());
  await build();
  // Beside the JSON, too: a run that failed must be had again.
  (values.json ? console.error : console.log)(`drill ${name}, seed ${seed}`);
  const { figures, remarks, problems } = await drill(values, { seed, onProgress: show });
  show('');
  if (values.json) console.log(JSON.stringify(figures));
  else {
    for (const remark of remarks) console.log(remark);
    for (const [figure, value] of Object.entries(figures)) console.log(`${figure}: ${value}`);
  }
  for (const problem of problems.slice(0, maximumProblems)) console.error(problem);
  if (problems.length > maximumProblems) console.error(`... and ${problems.length - maximumProblems} more`);
  if (problems.length > 0) {
    const log = relative(process.cwd(), functionLogOf(name));
    console.error(`The drill has failed. --seed ${seed} decides the same faults again; the functions' log is ${log}.`);
  }
  return problems.length > 0 ? 1 : 0;
}

process.exitCode = await run().catch((error: unknown) => {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  console.error(error instanceof UsageError ? `${error.message}\n\n${usage}` : message);
  return error instanceof UsageError ? 2 : 1;
});
