import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from './build.ts';
import { startEmbeddedLocalCloud } from './embedded-cloud.ts';
import type { LocalCloud, SigningChoice } from './local-cloud.ts';
import { openToTheNetwork, requireDocker, startLocalStackInDocker } from './localstack/docker.ts';
import { installLocalStack } from './localstack/install.ts';
import { startLocalStack } from './localstack/start.ts';
import { type LocalStackNeeds, startLocalStackLocalCloud } from './localstack-cloud.ts';
import { readInstalled } from './setup/installed.ts';
import { projectCache, SetUpError } from './setup/machine.mjs';
import type { StartOptions } from './setup/options.mjs';

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
const onStep = (what: string) => console.log(`${what} ...`);

function localstack(signing: SigningChoice): ChosenCloud {
  return {
    logs: inCloudWatch,
    start: async (signal) => {
      const installation = await installLocalStack(signal);
      if (installation.kind === 'unavailable') throw new SetUpError(installation.sentence);
      await build();
      const launch = (needs: LocalStackNeeds) => startLocalStack({ installation, signal, ...needs });
      return startLocalStackLocalCloud({ launch, signing, signal, onStep });
    },
  };
}

function localstackInDocker(signing: SigningChoice): ChosenCloud {
  return {
    logs: inCloudWatch,
    start: async (signal) => {
      requireDocker();
      console.log(openToTheNetwork);
      await build();
      const libraries = [dirname(readInstalled().softhsm2Library)];
      const launch = (needs: LocalStackNeeds) => startLocalStackInDocker({ libraries, signal, ...needs });
      return startLocalStackLocalCloud({ launch, signing, signal, onStep });
    },
  };
}
