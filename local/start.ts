import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { ProfileError } from '../shared/issuance/index.ts';
import { prepareOutputFolder } from '../shared/output-folder.ts';
import { Progress } from '../shared/terminal/index.ts';
import { chooseCloud } from './choose-cloud.ts';
import { describeAnswers, describeCloud } from './console.ts';
import { enrol } from './enrol.ts';
import type { LocalCloud } from './local-cloud.ts';
import { writeResults } from './results.ts';
import { parseStartOptions, type StartOptions } from './setup/options.mjs';
import { endWithParent } from './setup/parent-watch.ts';
import { makeFleet, readSubmissions, type Submission } from './submissions.ts';
import { verifyAnswers } from './verify.ts';

/** `npm start`, after set-up: the local cloud, CSRs through it, and their certificates. */
async function run(options: StartOptions): Promise<number> {
  // Nothing to stop yet.
  let stop = () => Promise.resolve();
  endWithParent(() => stop());
  const interrupted = new Promise<'interrupted'>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => done('interrupted'));
  });
  const job = await readJob(options);
  const { start, logs } = chooseCloud(options);
  const givenUp = new AbortController();
  const starting = start(givenUp.signal);
  let stopping: Promise<void> | undefined;
  stop = () => {
    givenUp.abort(new Error('The start was given up.'));
    stopping ??= stopStarted(starting);
    return stopping;
  };
  try {
    const local = await Promise.race([starting, interrupted]);
    if (local === 'interrupted') return exitCodeOfInterrupt;
    console.log(describeCloud(local, logs));
    const died = local.cloud.died.then((error) => Promise.reject(error));
    const enrolled = enrolAndReport(local, job, givenUp.signal);
    const exitCode = await Promise.race([enrolled, interrupted, died]);
    if (exitCode === 'interrupted') {
      // What is still under way fails when the cloud goes; it was this process that took it away.
      enrolled.catch(() => undefined);
      return exitCodeOfInterrupt;
    }
    if (!options.exit) {
      console.log('The local cloud stays up; Ctrl-C ends it.');
      await Promise.race([interrupted, died]);
    }
    return exitCode;
  } finally {
    await stop();
  }
}

/** 128 + SIGINT, as shells have it. */
const exitCodeOfInterrupt = 130;

/** Also a cloud that is not up yet; one that never gets up has cleaned up after itself. */
async function stopStarted(starting: Promise<LocalCloud>): Promise<void> {
  const local = await starting.catch(() => undefined);
  await local?.stop();
}

interface Job {
  readonly submissions: readonly Submission[];
  /** The fleet of the demonstration is ours, so a refusal there is a defect; a user's CSRs get the answer they earn. */
  readonly mustBeIssued: boolean;
  /** Where results go. */
  readonly folder: string;
}

/** What can be wrong with the user's folders is found before anything is started. */
async function readJob({ csr, out }: StartOptions): Promise<Job> {
  const folder = resolve(out);
  try {
    prepareOutputFolder(folder);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new Error(`The certificates cannot be written to ${folder} (${code}): name a folder with --out.`, { cause });
  }
  if (csr === undefined) return { submissions: await makeFleet(), mustBeIssued: true, folder };
  if (realpathSync(csr) === realpathSync(folder)) {
    throw new Error('The certificates would be written over the CSRs: name another folder with --out.');
  }
  return { submissions: readSubmissions(resolve(csr)), mustBeIssued: false, folder };
}

/** @returns the exit code */
async function enrolAndReport(
  local: LocalCloud,
  { submissions, mustBeIssued, folder }: Job,
  givenUp: AbortSignal,
): Promise<number> {
  const progress = new Progress(process.stdout, submissions.length, 'answered');
  const answers = await enrol(local, submissions, (answered) => progress.show(answered), givenUp);
  progress.end();
  const problems = verifyAnswers(answers, local);
  const files = writeResults(folder, answers, local);
  console.log(describeAnswers(answers, files, folder));
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) return 1;
  return mustBeIssued && answers.some(({ answer }) => answer.status !== 'issued') ? 1 : 0;
}

const parsed = parseStartOptions(process.argv.slice(2));
if (parsed.kind !== 'run') {
  // Set-up has shown the usage already; whoever starts this file without it gets the same refusal.
  console.error(parsed.kind === 'wrong' ? parsed.sentence : 'Run npm start -- --help.');
  process.exit(2);
}
process.exitCode = await run(parsed.options).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  // As `mintmark profiles check` ends for the same profile.
  return error instanceof ProfileError ? 2 : 1;
});
