import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { operationNames } from '../../local/stub/index.ts';
import { orWhyNot, unavailable } from './localstack-fixture.ts';
import { python, type StubForClients, startStubForClients } from './stub-client.ts';

const script = fileURLToPath(new URL('./stub_boto3.py', import.meta.url));
const names = [...readFileSync(script, 'utf8').matchAll(/^ {4}def (test_\w+)\(/gm)].map(([, name = '']) => name);

interface Report {
  /** What failed, or null. */
  readonly tests: Readonly<Record<string, string | null>>;
  /** Those that were answered, each answer held against AWS's service model. */
  readonly operations: readonly string[];
}

/** As boto3 calls the services. */
const services: Readonly<Record<string, string>> = {
  TrentService: 'kms',
  BaldrApiService: 'cloudhsmv2',
  CloudTrail_20131101: 'cloudtrail',
};

describe.skipIf(unavailable !== undefined)(`the stub used by boto3${orWhyNot}`, () => {
  let stub: StubForClients;
  let report: Report;
  beforeAll(async () => {
    stub = await startStubForClients({ allowAsymmetricKeysInCustomKeyStores: true });
    const { stdout } = await promisify(execFile)(python(), [script], { env: stub.environment });
    report = JSON.parse(stdout) as Report;
  });
  afterAll(() => stub?.stop());

  it.each(names)('%s', (name) => {
    expect(report.tests[name]).toBeNull();
  });

  it('was asked for every operation that it has, and every answer was of the form that AWS models', () => {
    const wanted = operationNames().map((target) => {
      const [prefix = '', name = ''] = target.split('.');
      return `${services[prefix]}:${name}`;
    });
    expect(report.operations).toEqual(wanted.toSorted());
  });
});
