import { spawn } from 'node:child_process';
import { randomUUID, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { CreateRoleCommand, IAMClient } from '@aws-sdk/client-iam';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LocalStackDied } from '../../local/localstack/start.ts';
import { FailureRecords } from '../../shared/ledger/index.ts';
import { generateEcKey, generateRsaKey } from '../fixtures/csr/make.ts';
import { bodyOf, type TestRequest } from '../support/cloud-under-test.ts';
import { makePemCsr, verifyChain } from '../support/embedded-openssl.ts';
import { MintmarkCommand } from '../support/mintmark-command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { DeployedCloud, todayAndYesterday } from './deployed-fixture.ts';
import { hasProc, orNoProc, orWhyNot, processesWith, unavailable } from './localstack-fixture.ts';

const command = fileURLToPath(new URL('../../local/setup/mintmark.mjs', import.meta.url));
const requestsMapping = 'IssueEventSourceMappingSQSRequestsQueue';
const redriveMapping = 'IssueEventSourceMappingSQSRedriveQueue';

const key = generateEcKey('P-256');

describe.skipIf(unavailable !== undefined)(`issuing, deployed to LocalStack${orWhyNot}`, () => {
  let cloud: DeployedCloud;
  beforeAll(async () => {
    // What a dead function leaves behind is visible again after 10 s, and given up by SQS after the second time.
    cloud = await DeployedCloud.start({
      visibilityTimeout: '10',
      maxReceiveCount: '2',
      giveUpAfterSeconds: '15',
      // Signatures are counted here, and each look of the watch makes one.
      watchSchedule: 'rate(1 day)',
    });
  });
  afterAll(() => cloud?.stop());

  async function newRequest(name: string, privateKey = key): Promise<TestRequest> {
    const deviceId = await cloud.newDevice(name);
    return { deviceId, requestId: randomUUID(), csr: makePemCsr(privateKey, deviceId) };
  }

  function expectGood(leaf: Uint8Array): void {
    const { issuingCertificate: issuing, rootCertificate: root } = cloud.local;
    expect(verifyChain({ leaf, issuing, root })).toMatch(/: OK\n$/);
  }

  it.each([
    ['P-256', () => key],
    ['RSA-2048', () => generateRsaKey(2048)],
  ])(
    "an openssl CSR (%s), sent with SQS's own API, becomes a certificate that openssl verifies",
    async (name, makeKey) => {
      const request = await newRequest(name, makeKey());
      await cloud.request(request);
      const { certificate } = await cloud.issued(request, 60_000);
      expectGood(certificate);
    },
  );

  it('a bad request in a batch costs the others nothing', async () => {
    const good = await Promise.all(['a', 'b', 'c'].map((name) => newRequest(name)));
    const bad = { ...(await newRequest('bad')), csr: 'bad' };
    await cloud.sendAll([...good.slice(0, 1), bad, ...good.slice(1)].map(bodyOf));
    for (const request of good) expectGood((await cloud.issued(request)).certificate);
    expect((await cloud.rejected(bad)).code).toBe('CSR_NOT_DECODABLE');
  });

  it('of a batch, the one whose signature fails is tried again alone', async () => {
    const requests = await Promise.all(['d', 'e', 'f'].map((name) => newRequest(name)));
    const before = cloud.signatures().length;
    cloud.faults({ fault: 'corrupt', count: 1 });
    const messageIds = await cloud.sendAll(requests.map(bodyOf));
    for (const request of requests) expect((await cloud.issued(request)).attempt).toBe(1);
    await cloud.drained();
    expect(cloud.signatures()).toHaveLength(before + requests.length + 1);
    const isTold = async () => {
      const ends = (await Promise.all(messageIds.map((id) => cloud.endsOf(id)))).flat();
      return ends.filter(({ message }) => message === 'issued').length === requests.length && ends;
    };
    const ends = await cloud.until(isTold, 'log of three certificates');
    const retries = ends.filter(({ message }) => message === 'retry');
    expect(retries.map(({ code }) => code)).toEqual(['SIGNATURE_WRONG']);
  });

  it('one request delivered three times: one certificate, one signature', async () => {
    const request = await newRequest('thrice');
    const before = cloud.signatures().length;
    const messageIds: string[] = [];
    for (let delivery = 0; delivery < 3; delivery++) {
      messageIds.push(await cloud.request(request));
      await cloud.drained();
    }
    const { certificate, serialNumber } = await cloud.issued(request);
    expectGood(certificate);
    expect(cloud.signatures()).toHaveLength(before + 1);
    for (const messageId of messageIds) {
      const end = await cloud.until(async () => (await cloud.endsOf(messageId))[0], `log of ${messageId}`);
      expect(end).toMatchObject({ message: 'issued', serialNumber });
    }
  });

  it('a message that nobody can read is a row in failures, and is not delivered again', async () => {
    const messageId = await cloud.send('{');
    expect(await cloud.failure(messageId)).toMatchObject({
      failureClass: 'unreadable',
      code: 'MESSAGE_NOT_JSON',
      body: '{',
      tries: 1,
    });
    await cloud.drained();
    expect(await cloud.messages('DeadLetterQueue')).toEqual({ waiting: 0, inFlight: 0 });
  });

  it('the mintmark command: a certificate, a list page by page, failures and health', async () => {
    const folder = temporaryFolder('deployed-cli');
    const mintmark = new MintmarkCommand(() => ({ HOME: folder, ...cloud.local.cloud.environment }));
    const deviceId = await cloud.newDevice('commanded');
    const csr = join(folder, `${deviceId}.csr`);
    writeFileSync(csr, makePemCsr(key, deviceId));
    expect(await mintmark.json('request', csr, '--out', folder)).toMatchObject({
      code: 0,
      value: { requests: [{ status: 'issued', certificateFile: join(folder, `${deviceId}.pem`) }] },
    });
    expectGood(new X509Certificate(readFileSync(join(folder, `${deviceId}.pem`))).raw);
    await mintmark.json('request', csr, '--wait', '--again', 'second');

    const list = async (...args: readonly string[]) => {
      const { code, value } = await mintmark.json('certificates', 'list', '--device', deviceId, ...args);
      expect(code).toBe(0);
      return value as { readonly certificates: readonly object[]; readonly cursor: string | null };
    };
    const { certificates: whole } = await list();
    expect(whole).toHaveLength(2);
    const first = await list('--limit', '1');
    const second = await list('--limit', '1', '--cursor', first.cursor ?? '');
    expect([...first.certificates, ...second.certificates]).toEqual(whole);
    expect(second.cursor).toBeNull();

    const messageId = await cloud.send('[');
    await cloud.failure(messageId);
    const { value: failures } = await mintmark.json('failures', 'list', '--class', 'unreadable', '--limit', '1000');
    expect(failures).toMatchObject({ failures: expect.arrayContaining([expect.objectContaining({ messageId })]) });
    const health = await mintmark.json('health');
    expect(health.value).toMatchObject({ stage: 'local', findings: expect.any(Array) });
    expect([0, 1]).toContain(health.code);
  });

  it("senders: LocalStack's IAM says a role's id, its SQS attests the account's, and both can be registered", async () => {
    const mintmark = new MintmarkCommand(() => ({
      HOME: temporaryFolder('senders'),
      ...cloud.local.cloud.environment,
    }));
    const { endpoint, environment, sender } = cloud.local.cloud;
    const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
    const iam = new IAMClient({ endpoint, region: environment.AWS_REGION ?? '', credentials });
    const role = { RoleName: 'gateway', Path: '/fleets/', AssumeRolePolicyDocument: '{}' };
    const { Role: made } = await iam.send(new CreateRoleCommand(role)).finally(() => iam.destroy());
    const grants = ['--fleet', 'doors', '--all-profiles'];
    expect(await mintmark.json('senders', 'add', made?.Arn ?? '', ...grants)).toMatchObject({
      code: 0,
      value: { change: 'added', sender: { principalId: made?.RoleId, arn: made?.Arn } },
    });
    const missing = await mintmark.run(['senders', 'add', `${made?.Arn}-two`, ...grants]);
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('has no role gateway-two') });

    const request = await newRequest('sender');
    await cloud.request(request);
    await cloud.issued(request);
    const shown = await mintmark.run(['certificates', 'show', '--device', request.deviceId]);
    expect(shown.stdout).toMatch(new RegExp(`^sender +${sender.principalId}$`, 'm'));
    expect(await mintmark.json('senders', 'show', sender.principalId)).toMatchObject({
      code: 0,
      value: { senders: [{ fleets: '*', profiles: '*', identity: { state: 'unknown' } }] },
    });
  });

  it('a function that dies after signing: the same TBS is signed again, and there is one certificate', async () => {
    const request = await newRequest('dies');
    const before = cloud.signatures().length;
    cloud.faults({ fault: 'crash-after-sign', count: 1 });
    await cloud.request(request);
    const { certificate, attempt } = await cloud.issued(request, 60_000);
    expectGood(certificate);
    expect(attempt).toBe(1);
    const made = cloud.signatures().slice(before);
    expect(made.length).toBeGreaterThanOrEqual(2);
    expect(new Set(made.map(({ digest }) => digest)).size).toBe(1);
  });

  /** What has killed its function every time, and is a row in failures. */
  let killed: { readonly request: TestRequest; readonly messageId: string } | undefined;

  it('a function that dies every time: the dead-letter queue, and from there a row in failures', async () => {
    const request = await newRequest('kills');
    cloud.faults({ fault: 'crash-before-sign', count: -1 });
    const messageId = await cloud.request(request);
    const failure = await cloud.failure(messageId, 120_000);
    killed = { request, messageId };
    cloud.faults();
    expect(failure).toMatchObject({ failureClass: 'crashed', code: 'MESSAGE_KILLED_FUNCTION' });
    // LocalStack writes JSON anew before a function gets it.
    expect(JSON.parse(failure.body)).toEqual(JSON.parse(bodyOf(request)));
    await cloud.drained('DeadLetterQueue');
    await cloud.drained();

    const next = await newRequest('next');
    await cloud.request(next);
    expectGood((await cloud.issued(next)).certificate);
  });

  it('that failure is redriven by the command; it kills its function again: a dead letter that names the first', async () => {
    if (killed === undefined) throw new Error('No request has killed its function.');
    const { request, messageId } = killed;
    cloud.faults({ fault: 'crash-before-sign', count: -1 });
    const redrive = async (id: string): Promise<string> => {
      const child = spawn(process.execPath, [command, 'failures', 'redrive', id, '--json'], {
        env: { PATH: process.env['PATH'], AWS_EC2_METADATA_DISABLED: 'true', ...cloud.local.cloud.environment },
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const [stdout] = await Promise.all([text(child.stdout), once(child, 'close')]);
      const { redriven } = JSON.parse(stdout) as { redriven: { redrivenAs: string }[] };
      return redriven[0]?.redrivenAs ?? '';
    };
    const again = await redrive(messageId);
    await cloud.failure(again, 120_000);
    const records = new FailureRecords(cloud.local.clients.dynamoDB, cloud.ref('FailuresTable'));
    // SQS alone says that the dead letter is one of the redrive queue: DeadLetterQueueSourceArn.
    expect(await records.get([again], todayAndYesterday())).toMatchObject([
      { code: 'MESSAGE_KILLED_FUNCTION', originalMessageId: messageId, redriveCount: 1 },
    ]);
    cloud.faults();
    await redrive(again);
    expectGood((await cloud.issued(request, 60_000)).certificate);
  });

  it('the event source mapping paused: requests wait; resumed: they are issued', async () => {
    await cloud.setMapping(requestsMapping, false);
    const [waiting, control] = [await newRequest('waiting'), await newRequest('control')];
    await cloud.request(waiting);
    // The same function by its other mapping: when that one has its certificate, this one would have had it too.
    const { sqs } = cloud.local.clients;
    const queueUrl = cloud.ref('RedriveQueue');
    await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: bodyOf(control) }));
    await cloud.issued(control);
    expect(await cloud.messages()).toEqual({ waiting: 1, inFlight: 0 });
    expect(await cloud.row(waiting)).toBeUndefined();

    await cloud.setMapping(requestsMapping, true);
    expectGood((await cloud.issued(waiting)).certificate);
  });

  it('a deployment over a running queue loses nothing, and leaves what was paused', async () => {
    const { deployment } = cloud.local.cloud;
    appendFileSync(join(deployment.folder, 'dist', 'issue', 'index.mjs'), "\nconsole.log('the second deployment');\n");
    // CloudFormation leaves alone what it sees no change in, paused or not.
    const functions = join(deployment.folder, 'deploy', 'functions.yml');
    const ofRedrive = /(arn: \{ 'Fn::GetAtt': \[RedriveQueue, Arn\] \}\n\s+batchSize: )10\n/;
    writeFileSync(functions, readFileSync(functions, 'utf8').replace(ofRedrive, '$17\n'));
    await cloud.setMapping(redriveMapping, false);
    const failuresBefore = await cloud.failures();
    const progress = { isDeployed: false };
    const requests: TestRequest[] = [];
    // A producer sends its next request when it has the certificate for its last.
    const produce = async (name: string) => {
      while (!progress.isDeployed) {
        const request = await newRequest(name);
        requests.push(request);
        await cloud.request(request);
        expect((await cloud.issued(request, 60_000)).attempt).toBe(1);
      }
    };
    const deploying = deployment.deploy().finally(() => (progress.isDeployed = true));
    await Promise.all([deploying, ...['p', 'q', 'r'].map(produce)]);
    expect(requests.length).toBeGreaterThan(3);
    await cloud.drained();

    const last = await newRequest('last');
    await cloud.request(last);
    expectGood((await cloud.issued(last)).certificate);
    await cloud.until(async () => (await cloud.logLines()).includes('the second deployment'), 'line of the new bundle');
    expect(await cloud.failures()).toEqual(failuresBefore);
    expect(await cloud.api.mapping(cloud.ref(redriveMapping))).toMatchObject({ State: 'Disabled', BatchSize: 7 });
  });

  // The last one: it takes the cloud away.
  it.skipIf(!hasProc)(
    `LocalStack dying under a test: whoever waits is told, with the end of its log${orNoProc}`,
    async () => {
      const main = processesWith(dirname(cloud.local.cloud.logFile)).find((pid) =>
        readFileSync(`/proc/${pid}/cmdline`, 'utf8').endsWith('-m\0mintmark_localstack\0'),
      );
      if (main === undefined) throw new Error('LocalStack has no process.');
      const waiting = cloud.until(() => undefined, 'end of the world', 60_000);
      process.kill(main, 'SIGKILL');
      await expect(waiting).rejects.toThrow(LocalStackDied);
      await expect(waiting).rejects.toThrow(/^LocalStack ended by itself \(SIGKILL\)\. .*, ending:\n {2}\S/);
    },
  );
});
