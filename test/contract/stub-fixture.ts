import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudHSMV2Client } from '@aws-sdk/client-cloudhsm-v2';
import { KMSClient } from '@aws-sdk/client-kms';
import { expect } from 'vitest';
import { readInstalled } from '../../local/setup/installed.ts';
import { type LogEntry, type Stub, type StubOptions, startStub } from '../../local/stub/index.ts';

export const region = 'eu-west-1';
export const accountId = '111122223333';

const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'any' };

/** Never retries, so that a test sees every answer. */
const clientOptions = { region, credentials, maxAttempts: 1 } as const;

export interface TestStub extends Stub {
  readonly kms: KMSClient;
  readonly cloudHsm: CloudHSMV2Client;
  readonly log: readonly LogEntry[];
  /** POST /_stub/<command> */
  admin(command: string, body: object): Promise<Record<string, unknown>>;
}

/** A stub with a SoftHSM2 token of its own and the AWS SDK's clients pointed at it; one at a time in a test file. */
export async function startTestStub(
  settings: Pick<StubOptions, 'allowAsymmetricKeysInCustomKeyStores'> = {},
): Promise<TestStub> {
  const directory = mkdtempSync(join(tmpdir(), 'mintmark-stub-test-'));
  const log: LogEntry[] = [];
  const stub = await startStub({
    token: { library: readInstalled().softhsm2Library, directory },
    port: 0,
    region,
    accountId,
    now: Date.now,
    randomBytes,
    log: (entry) => log.push(entry),
    ...settings,
  });
  const kms = new KMSClient({ ...clientOptions, endpoint: stub.endpoint });
  // This old client counts retries where it says attempts.
  const cloudHsm = new CloudHSMV2Client({ ...clientOptions, maxAttempts: 0, endpoint: stub.endpoint });
  return {
    ...stub,
    kms,
    cloudHsm,
    log,
    async admin(command, body) {
      const response = await fetch(`${stub.endpoint}/_stub/${command}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      const answer = (await response.json()) as Record<string, unknown>;
      expect(response.status, JSON.stringify(answer)).toBe(200);
      return answer;
    },
    async stop() {
      kms.destroy();
      cloudHsm.destroy();
      await stub.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A request as a client signs it, down to the scope of its credential. */
export function callRaw(
  endpoint: string,
  target: string,
  body: string,
  headers: Record<string, string | undefined> = {},
): Promise<Response> {
  const service = target.startsWith('BaldrApiService') ? 'cloudhsm' : 'kms';
  const all: Record<string, string | undefined> = {
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': target,
    authorization: `AWS4-HMAC-SHA256 Credential=AKIA/20261122/${region}/${service}/aws4_request, SignedHeaders=host, Signature=0`,
    ...headers,
  };
  const present = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return fetch(endpoint, { method: 'POST', headers: present, body });
}
