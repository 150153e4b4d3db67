import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from './build.ts';
import { startEmbeddedLocalCloud } from './embedded-cloud.ts';
import type { LocalCloud, SigningChoice } from './local-cloud.ts';
import { openToTheNetwork, requireDocker, startLocalStackInDocker } from './localstack/docker.ts';
import { installLocalStack } from './localstack/install.ts';
import { startLocalStack } from './localstack/start.ts';
import {
  type LocalStackLocalCloudOptions,
  type LocalStackNeeds,
  startLocalStackLocalCloud,
} from './localstack-cloud.ts';
import { readInstalled } from './setup/installed.ts';
import { projectCache, SetUpError } from './setup/machine.mjs';
import type { StartOptions } from './setup/options.mjs';
import { seconds } from './setup/steps.mjs';

/** A local cloud that can be started. */
export interface ChosenCloud {
  /** @param signal gives the start up, where it takes long enough to be worth it */
  readonly start: (signal: AbortSignal) => Promise<LocalCloud>;
  /** Where the functions' logs are, in words. */
  readonly logs: string;
}

export function chooseCloud({ cloud, signer, allowAsymmetric }: StartOptions): ChosenCloud {
  return clouds[cloud]({ signer, allowAsymmetric });
}

const clouds: Readonly<Record<StartOptions['cloud'], (signing: SigningChoice) => ChosenCloud>> = {
  embedded,
  localstack,
  'localstack-docker': localstackInDocker,
};

function embedded(signing: SigningChoice): ChosenCloud {
  const log = join(projectCache, 'functions.log');
  return {
    logs: relative(process.cwd(), log),
    start: async () => {
      mkdirSync(projectCache, { recursive: true });
      appendFileSync(log, `--- ${new Date().toISOString()}\n`);
      const starting = startEmbeddedLocalCloud({
        signing,
        conditions: { scheduleCompression: 1 },
        onFunctionLog: ({ function: name, pid, text }) => appendFileSync(log, `${name}[${pid}] ${text}\n`),
      });
      // Bundled meanwhile: no function runs before there is a message.
      const [local, built] = await Promise.allSettled([starting, build()]);
      if (local.status === 'rejected') throw local.reason;
      if (built.status === 'fulfilled') return local.value;
      await local.value.stop();
      throw built.reason;
    },
  };
}

const inCloudWatch = 'CloudWatch Logs, the groups /aws/lambda/mintmark-local-*';

/** Says what is being done, and every 15 seconds that it still is. */
async function withSteps<T>(work: (onStep: (what: string) => void) => Promise<T>): Promise<T> {
  let [present, since] = ['', 0];
  const stillRuns = setInterval(() => console.log(`${present} ... ${seconds(performance.now() - since)}`), 15_000);
  const onStep = (what: string) => {
    [present, since] = [what, performance.now()];
    stillRuns.refresh();
    console.log(`${what} ...`);
  };
  try {
    return await work(onStep);
  } finally {
    clearInterval(stillRuns);
  }
}

function localstack(signing: SigningChoice): ChosenCloud {
  return {
    logs: inCloudWatch,
    start: async (signal) => {
      const installation = await installLocalStack(signal);
      if (installation.kind === 'unavailable') throw new SetUpError(installation.sentence);
      const launch = (needs: LocalStackNeeds) => startLocalStack({ installation, signal, ...needs });
      return buildAndStart({ launch, signing, signal });
    },
  };
}

function localstackInDocker(signing: SigningChoice): ChosenCloud {
  return {
    logs: inCloudWatch,
    start: async (signal) => {
      requireDocker();
      console.log(openToTheNetwork);
      const libraries = [dirname(readInstalled().softhsm2Library)];
      const launch = (needs: LocalStackNeeds) => startLocalStackInDocker({ libraries, signal, ...needs });
      return buildAndStart({ launch, signing, signal });
    },
  };
}

const buildAndStart = (options: Omit<LocalStackLocalCloudOptions, 'onStep'>): Promise<LocalCloud> =>
  withSteps(async (onStep) => {
    onStep('bundling the functions');
    await build();
    return startLocalStackLocalCloud({ ...options, onStep });
  });
