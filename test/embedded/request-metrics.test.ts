import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Metric } from '../../local/embedded/cloudwatch-service.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { TestCloud } from '../support/embedded-cloud.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';

const key = generateEcKey('P-256');

describe('what CloudWatch is told of requests', () => {
  let cloud: TestCloud;
  /** Since then. */
  let told = 0;
  beforeAll(async () => {
    // Nobody looks after the breaker: with its mapping paused a message is not delivered, and not given up.
    cloud = await TestCloud.start({ giveUpAfterSeconds: '8', issueConcurrency: '1' }, false);
  });
  afterAll(() => cloud?.stop());

  async function newRequest(name: string) {
    const deviceId = await cloud.newDevice(name);
    return { deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) };
  }

  /** The values of a metric since the test began. */
  const valuesOf = (metric: string): number[] =>
    cloud.local.cloud.metrics.slice(told).flatMap(({ name, value }) => (name === metric ? [value] : []));
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

  it('nothing, while all is well, but what was signed', async () => {
    const request = await newRequest('well');
    await cloud.request(request);
    await cloud.issued(request);
    await cloud.drained();
    expect(cloud.local.cloud.metrics.map(({ name, value }) => [name, value])).toEqual([
      ['SignaturesRequested', 1],
      // Of the issuer, too.
      ['SignaturesRequested', 1],
      ['SignaturesMade', 1],
      ['SignaturesRepeated', 0],
      ['SignaturesWrong', 0],
      ['SignaturesMade', 1],
      ['SignaturesRepeated', 0],
      ['CertificatesStored', 1],
    ]);
  });

  it('a request that is tried again, with its age, and that it is given up', async () => {
    told = cloud.local.cloud.metrics.length;
    cloud.faults({ fault: 'busy', count: -1 });
    const messageId = await cloud.request(await newRequest('waits'));
    await cloud.failure(messageId);
    cloud.faults();
    await cloud.until(() => valuesOf('RequestsGivenUp').length > 0, 'metric of a request that is given up');

    const retries = cloud.outcomesOf(messageId).filter(({ message }) => message === 'retry');
    expect(retries.length).toBeGreaterThan(0);
    expect(sum(valuesOf('RequestsRetried'))).toBe(retries.length);
    const ages = valuesOf('OldestRetriedRequestAgeSeconds');
    expect(ages).toEqual(ages.toSorted((one, other) => one - other));
    // Of the first two tries SQS's own metric tells the age.
    expect(ages.length).toBeGreaterThan(0);
    expect(ages).toHaveLength(retries.length - 2);
    expect([valuesOf('RequestsFailed'), valuesOf('RequestsGivenUp')]).toEqual([[1], [1]]);
    const shape: Partial<Metric> = { namespace: 'Mintmark/local', dimensions: { Stage: 'local' } };
    for (const metric of cloud.local.cloud.metrics) expect(metric).toMatchObject(shape);
  });

  it("a message that nobody can read, as its sender's failure", async () => {
    told = cloud.local.cloud.metrics.length;
    await cloud.failure(await cloud.send('{'));
    await cloud.until(() => valuesOf('RequestsFailed').length > 0, 'metric of a message that failed');
    expect([valuesOf('RequestsFailed'), valuesOf('RequestsGivenUp')]).toEqual([[1], []]);
  });
});

describe('what CloudWatch is told of dead letters', () => {
  let cloud: TestCloud;
  beforeAll(async () => {
    // Given up by SQS after one delivery that nobody answers, 4 s later.
    cloud = await TestCloud.start({ visibilityTimeout: '4', maxReceiveCount: '1', issueConcurrency: '1' });
  });
  afterAll(() => cloud?.stop());

  it('that they failed, by the function that records them', async () => {
    const deviceId = await cloud.newDevice('kills');
    cloud.faults({ fault: 'crash-before-sign', count: -1 });
    const messageId = await cloud.request({ deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) });
    await cloud.failure(messageId);
    await cloud.drained('DeadLetterQueue');
    const values = cloud.local.cloud.metrics.map(({ name, value }) => [name, value]);
    expect(values).toEqual([
      // What the killed function was about to sign; of the stage and of the issuer.
      ['SignaturesRequested', 1],
      ['SignaturesRequested', 1],
      ['RequestsFailed', 1],
    ]);
  });
});
