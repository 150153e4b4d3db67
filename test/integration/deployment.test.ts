import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo, Server } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { prepareDeployment } from '../../local/localstack/deployment.ts';
import { hasProc, processesWith } from './localstack-fixture.ts';

describe('serverless deploy --stage local, as the local cloud runs it', () => {
  let folder: string;
  let silent: Server;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mintmark-deployment-'));
    silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
  });
  afterEach(() => {
    silent.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const prepare = (environment: Readonly<Record<string, string>>, parameters = {}) =>
    prepareDeployment({ folder, stage: 'local', environment, parameters });

  it("says in serverless's own words why it failed", async () => {
    const deployment = prepare({}, { issueReservedConcurrency: '1' });
    await expect(deployment.deploy()).rejects.toThrow(
      /^serverless deploy failed:\n[^]*needs the environment variable AWS_ENDPOINT_URL\.[^]*issueReservedConcurrency must be/,
    );
  });

  it('is ended, process and all, when it is given up', async () => {
    const givenUp = new AbortController();
    const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const environment = { AWS_ENDPOINT_URL: endpoint, AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' };
    const asked = once(silent, 'connection');
    const deploying = prepare(environment).deploy(givenUp.signal);
    await Promise.race([asked, deploying]);
    givenUp.abort(new Error('Enough.'));
    await expect(deploying).rejects.toThrow(/^Enough\.$/);
    if (hasProc) expect(processesWith(folder)).toEqual([]);
  });
});
