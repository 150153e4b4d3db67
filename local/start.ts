import { appendFileSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from './build.ts';
import { describeAnswers, describeCloud, Progress } from './console.ts';
import { enrol } from './enrol.ts';
import { startLocalCloud } from './local-cloud.ts';
import { writeResults } from './results.ts';
import { parseStartOptions, type StartOptions } from './setup/options.mjs';
import { projectCache } from './setup/machine.mjs';
import { endWithParent } from './setup/parent-watch.ts';
import { makeFleet, readSubmissions } from './submissions.ts';
import { verifyAnswers } from './verify.ts';

/** `npm start`, after set-up: the local cloud, CSRs through it, and their certificates. */
async function run(options: StartOptions): Promise<number> {
  const log = join(projectCache, 'functions.log');
  mkdirSync(projectCache, { recursive: true });
  appendFileSync(log, `--- ${new Date().toISOString()}\n`);
  await build();
  const local = await startLocalCloud({
    onFunctionLog: ({ function: name, pid, text }) => appendFileSync(log, `${name}[${pid}] ${text}\n`),
  });
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= local.stop();
    return stopping;
  };
  endWithParent(stop);
  const interrupted = new Promise<'interrupted'>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => done('interrupted'));
  });
  try {
    console.log(describeCloud(local, log));
    const enrolled = enrolAndReport(local, options);
    const first = await Promise.race([enrolled, interrupted]);
    if (first === 'interrupted') {
      // What is still under way fails when the cloud goes; it was this process that took it away.
      enrolled.catch(() => undefined);
      return 130;
    }
    if (!options.exit) {
      console.log('The local cloud stays up; Ctrl-C ends it.');
      await interrupted;
    }
    return first;
  } finally {
    await stop();
  }
}

/** @returns the exit code */
async function enrolAndReport(
  local: Awaited<ReturnType<typeof startLocalCloud>>,
  { csr, out }: StartOptions,
): Promise<number> {
  const submissions = csr === undefined ? await makeFleet() : readSubmissions(resolve(csr));
  const progress = new Progress(process.stdout, submissions.length);
  const answers = await enrol(local, submissions, (answered) => progress.show(answered));
  progress.end();
  const problems = verifyAnswers(answers, local);
  const folder = resolve(out);
  const files = writeResults(folder, answers, local);
  console.log(describeAnswers(answers, files, folder));
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) return 1;
  // The fleet of the demonstration is ours, so a refusal there is a defect; a user's CSRs get the answer they earn.
  return csr === undefined && answers.some(({ answer }) => answer.status === 'rejected') ? 1 : 0;
}

const parsed = parseStartOptions(process.argv.slice(2));
if (parsed.kind !== 'run') {
  // Set-up has shown the usage already; whoever starts this file without it gets the same refusal.
  console.error(parsed.kind === 'wrong' ? parsed.sentence : 'Run npm start -- --help.');
  process.exit(2);
}
process.exitCode = await run(parsed.options).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  return 1;
});
