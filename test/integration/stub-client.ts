import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inject } from 'vitest';
import { type RunningStub, type StubSettings, startStub } from '../../local/stub-process.ts';

export const region = 'eu-west-1';

/** A stub in a process of its own, and what a client of AWS needs to find it there. */
export interface StubForClients extends RunningStub {
  /** Nothing of the machine's own AWS configuration is in it. */
  readonly environment: Readonly<Record<string, string>>;
}

export async function startStubForClients(settings: StubSettings = {}): Promise<StubForClients> {
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-stub-clients-'));
  const stub = await startStub(join(folder, 'stub'), region, settings);
  return {
    ...stub,
    environment: {
      PATH: process.env.PATH ?? '',
      HOME: folder,
      AWS_CONFIG_FILE: join(folder, 'none'),
      AWS_SHARED_CREDENTIALS_FILE: join(folder, 'none'),
      AWS_ACCESS_KEY_ID: 'any',
      AWS_SECRET_ACCESS_KEY: 'any',
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
      AWS_PAGER: '',
      AWS_ENDPOINT_URL_KMS: stub.endpoint,
      AWS_ENDPOINT_URL_CLOUDHSM_V2: stub.endpoint,
      AWS_ENDPOINT_URL_CLOUDTRAIL: stub.endpoint,
      PYTHONDONTWRITEBYTECODE: '1',
    },
    async stop() {
      await stub.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** LocalStack's Python, whose packages have boto3 and the AWS CLI. */
export function python(): string {
  const found = inject('localStack');
  if (found.kind !== 'installed') throw new Error(found.sentence);
  return found.python;
}

/** Version 1 of the AWS CLI. */
export function awsCli(): string {
  return join(dirname(python()), 'aws');
}
