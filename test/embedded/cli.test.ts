import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificatePem } from '../../shared/issuance/certificate.ts';
import { Revocations } from '../../shared/ledger/revocations.ts';
import { generateEcKey, makeCsr } from '../fixtures/csr/make.ts';
import { TestCloud } from '../support/embedded-cloud.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { until } from '../support/embedded-until.ts';
import { MintmarkCommand } from '../support/mintmark-command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const key = generateEcKey('P-256');
const folder = temporaryFolder('cli');

let cloud: TestCloud;
beforeAll(async () => {
  cloud = await TestCloud.start();
});
afterAll(() => cloud.stop());

/** What the command's process has of the environment besides what every one has. */
const mintmark = new MintmarkCommand(() => ({ HOME: folder, ...cloud.local.cloud.environment }));
const run = mintmark.run.bind(mintmark);
const json = mintmark.json.bind(mintmark);

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** A file with the CSR of a registered device, whose id is the file's stem. */
async function registered(name: string): Promise<{ readonly deviceId: string; readonly path: string }> {
  const deviceId = await cloud.newDevice(name);
  return { deviceId, path: file(`${deviceId}.csr`, makePemCsr(key, deviceId)) };
}

/** A certificate of a new device, by the command. */
async function issued(name: string): Promise<{ readonly deviceId: string; readonly serialNumber: string }> {
  const { deviceId, path } = await registered(name);
  const { code, value } = await json('request', path, '--wait');
  expect(code).toBe(0);
  const [{ serialNumber } = { serialNumber: '' }] = (value as { requests: { serialNumber: string }[] }).requests;
  expect(serialNumber).toMatch(/^[0-9a-f]{32}$/);
  return { deviceId, serialNumber };
}

describe('request', () => {
  it('writes the certificate and its chain without the root; PEM or DER', async () => {
    const pem = await registered('pem');
    const derId = await cloud.newDevice('der');
    const der = file(`${derId}.der`, makeCsr(key, { subject: `/CN=${derId}` }));
    const out = join(folder, 'new', 'out');
    const ended = await run(['request', pem.path, der, '--fleet', 'doors-north', '--out', out]);
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stdout).toContain('2 issued');
    expect(ended.stderr).toContain('2/2 answered');
    for (const deviceId of [pem.deviceId, derId]) {
      const [leaf = '', ...chain] = readFileSync(join(out, `${deviceId}.pem`), 'utf8').split(/(?=-----BEGIN)/);
      expect(chain).toEqual([certificatePem(cloud.local.issuingCertificate)]);
      const read = new X509Certificate(leaf);
      expect(read.verify(new X509Certificate(cloud.local.issuingCertificate).publicKey)).toBe(true);
      expect(read.subject).toContain(`CN=${deviceId}`);
    }
  });

  it('the same command again is the same request; another --request-id makes another certificate', async () => {
    const { path } = await registered('again');
    const [one, two, other] = [
      await json('request', path, '--wait'),
      await json('request', path, '--wait'),
      await json('request', path, '--wait', '--request-id', 'second'),
    ].map(({ value }) => (value as { requests: { requestId: string; serialNumber: string }[] }).requests[0]);
    expect(two?.requestId).toBe(one?.requestId);
    expect(two?.serialNumber).toBe(one?.serialNumber);
    expect(other?.requestId).toBe('second');
    expect(other?.serialNumber).not.toBe(one?.serialNumber);
  });

  it('never writes over a key: refused before anything is sent', async () => {
    const { deviceId, path } = await registered('kept');
    const kept = file(`${deviceId}.pem`, key);
    expect(await run(['request', path, '--out', folder])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`${deviceId}.pem: It is there already`),
    });
    expect(readFileSync(kept, 'utf8')).toBe(key);
    expect((await json('certificates', 'list', '--device', deviceId)).value).toMatchObject({ certificates: [] });
  });

  it('a certificate that was there is told as such; --again makes another, once for each label', async () => {
    const { path } = await registered('renewed');
    const ask = async (...args: readonly string[]) => {
      const { code, value } = await json('request', path, '--wait', ...args);
      expect(code).toBe(0);
      return (value as { requests: { serialNumber: string; stoodAlready: boolean; issuedAt: string }[] }).requests[0];
    };
    const [first, second, again, twice] = [
      await ask(),
      await ask(),
      await ask('--again', '1'),
      await ask('--again', '1'),
    ];
    expect(first).toMatchObject({
      stoodAlready: false,
      issuedAt: expect.stringMatching(/Z$/),
      notAfter: expect.anything(),
    });
    expect(second).toEqual({ ...first, messageId: expect.anything(), stoodAlready: true });
    expect(again?.serialNumber).not.toBe(first?.serialNumber);
    expect(twice).toMatchObject({ serialNumber: again?.serialNumber, stoodAlready: true });
  });

  it('a certificate that is revoked or has expired is no success, and is not written', async () => {
    const { dynamoDB } = cloud.local.clients;
    const revocations = new Revocations(dynamoDB, cloud.local.cloud.resources['RevocationsTable']?.ref ?? '');
    const { deviceId, path } = await registered('dead');
    const ask = ['request', path, '--out', join(folder, 'dead')];
    const [{ value }] = [await json('request', path, '--wait')];
    const [{ requestId, serialNumber }] = (value as { requests: [{ requestId: string; serialNumber: string }] })
      .requests;
    await dynamoDB.send(
      new UpdateItemCommand({
        TableName: cloud.local.cloud.resources['IssuanceTable']?.ref,
        Key: { deviceId: { S: deviceId }, requestId: { S: requestId } },
        UpdateExpression: 'SET notAfter = :past',
        ExpressionAttributeValues: { ':past': { S: '2026-01-01T00:00:00.000Z' } },
      }),
    );
    const expired = await run(ask);
    expect(expired).toMatchObject({ code: 1, stdout: expect.stringContaining('expired at 2026-01-01T00:00:00Z') });
    expect(expired.stdout).toContain('--again <label>');
    const { value: row } = await json('certificates', 'show', '--serial', serialNumber);
    const { crlShard } = (row as { certificate: { crlShard: number } }).certificate;
    await revocations.revokeAbandoned({ issuerId: 'devices', serialNumber, crlShard }, Date.now());
    expect(await json(...ask)).toMatchObject({
      code: 1,
      value: { requests: [{ status: 'issued', problem: 'revoked' }] },
    });
    expect(readdirSync(join(folder, 'dead'))).toEqual([]);
  });

  it('another request under the id of an open one is told at once', async () => {
    const { deviceId, path } = await registered('open-conflict');
    cloud.faults({ fault: 'busy', count: -1 });
    try {
      await run(['request', path, '--request-id', 'open']);
      await until(async () => (await cloud.row({ deviceId, requestId: 'open' }))?.state === 'intent', 'intent');
      const other = file('other-open.csr', makePemCsr(generateEcKey('P-256'), deviceId));
      const args = ['request', other, '--device', deviceId, '--request-id', 'open', '--wait'];
      expect(await json(...args)).toMatchObject({
        code: 1,
        value: { requests: [{ status: 'rejected', code: 'REQUEST_CONFLICT' }] },
      });
    } finally {
      cloud.faults();
    }
  });

  it('does not take an old rejection for the new answer', async () => {
    const deviceId = `late-${Date.now()}`;
    const path = file(`${deviceId}.csr`, makePemCsr(key, deviceId));
    const refused = await json('request', path, '--wait');
    expect(refused).toMatchObject({ code: 1, value: { requests: [{ status: 'rejected', code: 'DEVICE_UNKNOWN' }] } });
    await cloud.local.devices.register({ deviceId, state: 'active' });
    expect(await json('request', path, '--wait')).toMatchObject({
      code: 0,
      value: { requests: [{ status: 'issued' }] },
    });
  });

  it('another request under the same id is told so, and not given its certificate', async () => {
    const { deviceId, path } = await registered('taken');
    await json('request', path, '--wait', '--request-id', 'taken');
    const other = file('other.csr', makePemCsr(generateEcKey('P-256'), deviceId));
    const args = ['request', other, '--device', deviceId, '--request-id', 'taken', '--wait'];
    expect(await json(...args)).toMatchObject({
      code: 1,
      value: { requests: [{ status: 'rejected', code: 'REQUEST_CONFLICT' }] },
    });
  });

  it('finds what ended in the failures table', async () => {
    const { path } = await registered('unauthorised');
    const { code, value } = await json('request', path, '--profile', 'no-such-profile', '--wait');
    expect(code).toBe(1);
    expect(value).toMatchObject({ requests: [{ status: 'failed', code: 'PROFILE_UNKNOWN' }] });
  });

  it('without --wait it only sends; after --timeout it says what is open', async () => {
    const { deviceId, path } = await registered('sent');
    expect(await json('request', path)).toMatchObject({ code: 0, value: { requests: [{ status: 'sent', deviceId }] } });
    cloud.faults({ fault: 'busy', count: -1 });
    try {
      const open = await registered('open');
      const ended = await run(['request', open.path, '--wait', '--timeout', '1', '--json']);
      expect(ended.code).toBe(1);
      expect(JSON.parse(ended.stdout)).toMatchObject({ requests: [{ status: 'waiting' }] });
      expect(ended.stderr).toContain('1 of 1 without an answer');
    } finally {
      cloud.faults();
    }
  });

  it('Ctrl-C ends the waiting with what is known', async () => {
    cloud.faults({ fault: 'busy', count: -1 });
    try {
      const { path } = await registered('interrupted');
      const child = mintmark.start(['request', path, '--wait', '--json']);
      let told = '';
      child.stderr.on('data', (data: Buffer) => (told += data.toString()));
      const output = text(child.stdout);
      await until(() => told.includes('0/1 answered'), 'progress');
      child.kill('SIGINT');
      expect(await once(child, 'close')).toEqual([130, null]);
      expect(JSON.parse(await output)).toMatchObject({ requests: [{ status: 'waiting' }] });
      expect(told).toContain('Interrupted: 1 of 1 without an answer');
    } finally {
      cloud.faults();
    }
  });
});

describe('certificates', () => {
  it('show: by serial number as any tool writes it, and by device', async () => {
    const { deviceId, serialNumber } = await issued('shown');
    const written = serialNumber.toUpperCase().replaceAll(/(..)(?=.)/g, '$1:');
    const ended = await run(['certificates', 'show', '--serial', written]);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(new RegExp(`^subject +.*CN=${deviceId}$`, 'm'));
    expect(ended.stdout).toMatch(/^sender +LOCALOPERATOR$/m);
    expect(ended.stdout).toMatch(/^not after +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/m);
    const { value } = await json('certificates', 'show', '--device', deviceId);
    const { certificate } = value as { certificate: { certificate: string; revoked: boolean } };
    expect(certificate).toMatchObject({ serialNumber, state: 'issued', revoked: false, key: 'ec prime256v1' });
    expect(new X509Certificate(certificate.certificate).serialNumber.toLowerCase()).toBe(serialNumber);
  });

  it('show of what is not there: exit 1', async () => {
    expect(await json('certificates', 'show', '--serial', 'ff')).toEqual({ code: 1, value: { certificate: null } });
    expect((await run(['certificates', 'show', '--device', 'nobody'])).code).toBe(1);
  });

  it('show --abandoned: by the serial number of an attempt that came to nothing', async () => {
    const { deviceId, serialNumber } = await issued('retried');
    const { value } = await json('certificates', 'show', '--serial', serialNumber);
    const { requestId } = (value as { certificate: { requestId: string } }).certificate;
    const earlier = 'ab'.repeat(16);
    await cloud.local.clients.dynamoDB.send(
      new UpdateItemCommand({
        TableName: cloud.local.cloud.resources['IssuanceTable']?.ref,
        Key: { deviceId: { S: deviceId }, requestId: { S: requestId } },
        UpdateExpression: 'SET abandonedSerialNumbers = :list',
        ExpressionAttributeValues: {
          ':list': { L: [{ M: { issuerId: { S: 'devices' }, serialNumber: { S: earlier }, crlShard: { N: '1' } } }] },
        },
      }),
    );
    const missed = await run(['certificates', 'show', '--serial', earlier]);
    expect(missed).toMatchObject({ code: 1, stdout: expect.stringContaining('--abandoned') });
    const found = await run(['certificates', 'show', '--serial', earlier, '--abandoned']);
    expect(found).toMatchObject({ code: 0, stderr: expect.stringContaining(`${earlier} is of an abandoned attempt`) });
    expect(found.stdout).toContain(serialNumber);
  });

  it('list: by device, expiry day, issuer and status, page by page with nothing lost or twice', async () => {
    const made = await Promise.all([issued('listed'), issued('listed'), issued('listed')]);
    const [{ deviceId }] = made;
    const { value } = await json('certificates', 'list', '--device', deviceId);
    const [{ notAfter = '' } = {}] = (value as { certificates: { notAfter?: string }[] }).certificates;
    const day = notAfter.slice(0, 10);

    const selections = [[], ['--expires', day], ['--expires', day, '--issuer', 'devices', '--status', 'issued']];
    const inPages = async (selection: readonly string[]) => {
      const all = await serials(...selection, '--limit', '1000');
      expect(all.list).toEqual(expect.arrayContaining(made.map(({ serialNumber }) => serialNumber)));
      expect(all.cursor).toBeNull();
      const size = Math.ceil(all.list.length / 2);
      const first = await serials(...selection, '--limit', String(size));
      expect(first.list).toHaveLength(size);
      const second = await serials(...selection, '--limit', String(size), '--cursor', first.cursor ?? '');
      expect([...first.list, ...second.list]).toEqual(all.list);
      expect(second.cursor).toBeNull();
    };
    const without = async (...selection: readonly string[]) => expect((await serials(...selection)).list).toEqual([]);
    await Promise.all([
      ...selections.map(inPages),
      without('--expires', '2001-01-01'),
      without('--device', deviceId, '--status', 'rejected'),
    ]);
  });

  async function serials(...args: readonly string[]) {
    const { value } = await json('certificates', 'list', ...args);
    const { certificates, cursor } = value as { certificates: { serialNumber?: string }[]; cursor: string | null };
    return { list: certificates.map(({ serialNumber }) => serialNumber), cursor };
  }

  it('list --status intent: what is under way', async () => {
    cloud.faults({ fault: 'busy', count: -1 });
    try {
      const { deviceId, path } = await registered('intent');
      await run(['request', path, '--request-id', 'open']);
      await until(async () => (await cloud.row({ deviceId, requestId: 'open' }))?.state === 'intent', 'intent');
      const { stdout } = await run(['certificates', 'list', '--status', 'intent']);
      expect(stdout).toContain(deviceId);
    } finally {
      cloud.faults();
    }
  });

  it('export: PEM, DER, JSON lines, CSV, one JSON value; into a file too', async () => {
    const { deviceId, serialNumber } = await issued('exported');
    const select = ['certificates', 'export', '--device', deviceId];
    const path = join(folder, 'exported.der');
    const [pem, der, jsonl, csv, all, nobody] = await Promise.all([
      run(select),
      run([...select, '--format', 'der', '--out', path]),
      run([...select, '--format', 'jsonl']),
      run([...select, '--format', 'csv']),
      json(...select),
      json('certificates', 'export', '--device', 'nobody'),
    ]);
    expect(new X509Certificate(pem.stdout).serialNumber.toLowerCase()).toBe(serialNumber);
    expect(der).toMatchObject({ code: 0, stdout: '' });
    expect(new X509Certificate(readFileSync(path)).serialNumber.toLowerCase()).toBe(serialNumber);
    const lines = jsonl.stdout.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([{ serialNumber, certificate: pem.stdout }]);
    const [head, row, end] = csv.stdout.split('\r\n');
    expect(head).toMatch(/^deviceId,requestId,state,serialNumber,/);
    expect(row).toContain(`,issued,${serialNumber},devices,`);
    expect(end).toBe('');
    expect(all.value).toMatchObject({ certificates: [{ serialNumber }] });
    expect(nobody).toEqual({ code: 1, value: { certificates: [], cursor: null } });
    await issued('exported');
    expect(await run(['certificates', 'export', '--format', 'der'])).toMatchObject({ code: 2, stdout: '' });
  });

  it('a reader that has had enough: no complaint', async () => {
    const child = mintmark.start(['certificates', 'export', '--format', 'jsonl']);
    const complaint = text(child.stderr);
    child.stdout.once('data', () => child.stdout.destroy());
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(0);
    expect(await complaint).not.toMatch(/EPIPE|Error/);
  });
});

describe('failures', () => {
  const hostile = 'hello \u009b31m \u202e world';

  it('list and show, without anything that a terminal acts upon', async () => {
    const messageId = await cloud.send(hostile);
    await cloud.failure(messageId);
    const [listed, shown, asJson, none] = await Promise.all([
      run(['failures', 'list', '--class', 'unreadable', '--code', 'MESSAGE_NOT_JSON']),
      run(['failures', 'show', messageId]),
      run(['failures', 'show', messageId, '--json']),
      json('failures', 'list', '--class', 'bug'),
    ]);
    expect(listed.code).toBe(0);
    expect(listed.stdout).toContain(messageId);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain('hello ?31m ? world');
    expect(shown.stdout).toContain('what to do');
    expect(asJson.stdout).not.toMatch(/[\u0080-\u009f\u202e]/);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ failure: { body: hostile, failureClass: 'unreadable' } });
    expect(none).toMatchObject({ code: 0, value: { failures: [], cursor: null } });
  });

  it('show of what is not there: exit 1', async () => {
    expect(await json('failures', 'show', 'nothing')).toEqual({
      code: 1,
      value: {
        failure: null,
        error: { message: expect.stringContaining('message nothing from '), cure: expect.any(String) },
      },
    });
  });
});

describe('health', () => {
  it('exit 0 without a critical finding, 1 with one', async () => {
    expect(await json('health')).toMatchObject({ code: 0, value: { stage: 'local', critical: 0 } });
    await cloud.drill('custom-key-store', { connectionState: 'DISCONNECTED' });
    try {
      const [ended, { code, value }] = await Promise.all([run(['health']), json('health')]);
      expect(ended.code).toBe(1);
      expect(ended.stdout).toMatch(/^critical +key-store-state +/m);
      expect(ended.stdout).toContain('docs/runbook.md#key-store-state');
      expect(code).toBe(1);
      const { findings } = value as { findings: unknown[] };
      expect(findings).toContainEqual(expect.objectContaining({ rule: 'key-store-state', severity: 'critical' }));
    } finally {
      await cloud.drill('custom-key-store', { connectionState: 'CONNECTED' });
    }
  });
});

describe('Invoke of the embedded cloud', () => {
  const client = () =>
    new LambdaClient({
      endpoint: cloud.local.cloud.endpoint,
      region: cloud.local.cloud.environment.AWS_REGION ?? '',
      credentials: { accessKeyId: 'LOCALTEST', secretAccessKey: 'local' },
      maxAttempts: 1,
    });
  const payload = (value: unknown) => Buffer.from(JSON.stringify(value));

  it('gives the answer, or how the function failed', async () => {
    const lambda = client();
    const good = await lambda.send(new InvokeCommand({ FunctionName: 'mintmark-local-checkCluster' }));
    expect(good).toMatchObject({ StatusCode: 200, ExecutedVersion: '$LATEST' });
    expect(good.FunctionError).toBeUndefined();
    expect(JSON.parse(Buffer.from(good.Payload ?? []).toString())).toHaveProperty('findings');
    // An event without Records is not what an event source mapping sends.
    const bad = await lambda.send(new InvokeCommand({ FunctionName: 'mintmark-local-issue', Payload: payload({}) }));
    expect(bad).toMatchObject({ StatusCode: 200, FunctionError: 'Unhandled' });
    expect(JSON.parse(Buffer.from(bad.Payload ?? []).toString())).toMatchObject({ errorType: 'TypeError' });
    lambda.destroy();
  });

  it('refuses as Lambda does: no such function or version, no JSON', async () => {
    const lambda = client();
    const arn = cloud.local.cloud.functions['checkCluster']?.arn ?? '';
    const invoke = (input: ConstructorParameters<typeof InvokeCommand>[0]) => lambda.send(new InvokeCommand(input));
    await expect(invoke({ FunctionName: 'nope' })).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    await expect(invoke({ FunctionName: arn, Qualifier: '3' })).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
    await expect(invoke({ FunctionName: arn, Payload: Buffer.from('{') })).rejects.toMatchObject({
      name: 'InvalidRequestContentException',
    });
    await expect(invoke({ FunctionName: arn, InvocationType: 'DryRun' })).resolves.toMatchObject({ StatusCode: 204 });
    lambda.destroy();
  });
});

describe('wrong use, and surroundings that are not as they must be: exit 2, a sentence and a cure', () => {
  const profiles = file(
    'profiles',
    [
      '[profile sso]\nsso_session = s\nsso_account_id = 111111111111\nsso_role_name = operator',
      '[sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://example.com/start',
      '[profile base]\naws_access_key_id = LOCALTEST\naws_secret_access_key = local',
      '[profile mfa]\nsource_profile = base\nrole_arn = arn:aws:iam::111111111111:role/operator',
      'mfa_serial = arn:aws:iam::111111111111:mfa/operator\n',
    ].join('\n'),
  );
  const withoutKeys = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_CONFIG_FILE: profiles };
  const nowhere = { AWS_ENDPOINT_URL: 'http://127.0.0.1:9' };
  type Wrong = readonly [what: string, args: readonly string[], told: RegExp, over?: Record<string, string>];
  const wrong: readonly Wrong[] = [
    ['nothing', [], /It is not said what to do\. See mintmark --help\./],
    ['an unknown command', ['frobnicate'], /Unknown command 'frobnicate'/],
    [
      'an unknown option',
      ['certificates', 'list', '--devise', 'x'],
      /Did you mean --device\?\) See mintmark certificates list --help/,
    ],
    ['a day that is none', ['certificates', 'list', '--expires', '2026-02-30'], /2026-11-22/],
    ['a limit that is none', ['certificates', 'list', '--limit', '0'], /from 1 to 1000/],
    ['a cursor of nobody', ['certificates', 'list', '--cursor', 'x'], /--cursor is not one/],
    [
      'a cursor of another list',
      ['certificates', 'list', '--cursor', Buffer.from('{"partition":"x","key":{}}').toString('base64url')],
      /--cursor is not one/,
    ],
    ['a class that is none', ['failures', 'list', '--class', 'x'], /Allowed choices/],
    ['show of nothing', ['certificates', 'show'], /--serial or --device/],
    ['no file', ['request'], /Missing required argument/],
    ['a file that is not there', ['request', join(folder, 'none.csr')], /Nothing was sent.*There is no such file/],
    ['a folder', ['request', folder], /This is a folder/],
    ['what is no CSR', ['request', file('no.csr', 'hello world')], /Nothing was sent/],
    ['a private key', ['request', file('private.key', key)], /private key, which is sent to nobody/],
    ['a stem that is no device id', ['request', file('not a device.csr', makePemCsr(key, 'x'))], /deviceId/],
    [
      'two files of one device',
      ['request', file('twin.csr', makePemCsr(key, 'twin')), file('twin.pem', makePemCsr(key, 'twin'))],
      /for the device twin/,
    ],
    ['--device with two files', ['request', 'a', 'b', '--device', 'x'], /--device goes with one file/],
    [
      'a place that cannot be written to',
      ['request', file('fine.csr', makePemCsr(key, 'fine')), '--out', join(folder, 'fine.csr', 'x')],
      /cannot be written to/,
    ],
    [
      'no credentials',
      ['certificates', 'list'],
      /There are no AWS credentials\..*npm start/,
      { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' },
    ],
    [
      'a profile that is not there',
      ['certificates', 'list'],
      /no AWS credentials in the profile nobody \(AWS_PROFILE\)/,
      { ...withoutKeys, AWS_PROFILE: 'nobody' },
    ],
    [
      'a profile whose sign-on has ended',
      ['health'],
      /There are no AWS credentials: .*SSO session.*aws sso login/,
      { ...withoutKeys, AWS_PROFILE: 'sso' },
    ],
    [
      'a profile that asks for a code',
      ['failures', 'list'],
      /The profile mfa asks for a code.*aws configure export-credentials/,
      { ...withoutKeys, AWS_PROFILE: 'mfa' },
    ],
    [
      'two labels for one id',
      ['request', 'a', '--request-id', 'x', '--again', 'y'],
      /--again makes a request id, and --request-id names one/,
    ],
    ['--abandoned of nothing', ['certificates', 'show', '--device', 'x', '--abandoned'], /--serial/],
    ['no Region', ['certificates', 'list'], /There is no AWS Region\./, { AWS_REGION: '' }],
    ['no stage', ['certificates', 'list'], /which stage.*MINTMARK_STAGE/, { AWS_ENDPOINT_URL: '' }],
    [
      'a stage that is not there',
      ['certificates', 'list', '--stage', 'nope'],
      /no such thing.*mintmark-nope-issuance.*--stage/,
    ],
    ['a function that is not there', ['health', '--stage', 'nope'], /no such thing.*mintmark-nope-checkCluster/],
    ['a table that is not there', ['failures', 'list', '--prefix', 'nope'], /no such thing.*nope-failures/],
    ['nobody at the endpoint, tables', ['certificates', 'list'], /127\.0\.0\.1:9 does not answer/, nowhere],
    ['nobody at the endpoint, functions', ['health'], /127\.0\.0\.1:9 does not answer/, nowhere],
  ];

  const cases = wrong.map(([what, args, told, over]) => ({ what, args, told, over }));
  it.concurrent.each(cases)('$what', async ({ args, told, over }) => {
    const ended = await run(args, over);
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toMatch(told);
    expect(ended.stderr).toMatch(/^mintmark: [^\n]*\n$/);
  });

  it.each([{ args: ['certificates', 'list', '--nope'] }, { args: ['certificates', 'list', '--stage', 'nope'] }])(
    'with --json, stdout says it too: $args',
    async ({ args }) => {
      const { code, value } = await json(...args);
      expect(code).toBe(2);
      expect(value).toEqual({ error: { message: expect.stringMatching(/\.$/), cure: expect.stringMatching(/\.$/) } });
    },
  );

  it('sends nothing when one file of several is wrong', async () => {
    const { deviceId, path } = await registered('held-back');
    expect((await run(['request', path, join(folder, 'none.csr')])).code).toBe(2);
    expect((await json('certificates', 'list', '--device', deviceId)).value).toMatchObject({ certificates: [] });
  });
});

it('AWS_DEFAULT_REGION is a Region too', async () => {
  const region = cloud.local.cloud.environment.AWS_REGION ?? '';
  const ended = await run(['certificates', 'list', '--limit', '1'], { AWS_REGION: '', AWS_DEFAULT_REGION: region });
  expect(ended).toMatchObject({ code: 0, stderr: '' });
});

it('help is on stdout and exit 0, without credentials or a stage', async () => {
  const asked = [['--help'], ['request', '--help'], ['certificates', '--help']];
  for (const ended of await Promise.all(
    asked.map((args) => run(args, { AWS_ENDPOINT_URL: '', AWS_ACCESS_KEY_ID: '' })),
  )) {
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/^Usage: mintmark/);
  }
});
