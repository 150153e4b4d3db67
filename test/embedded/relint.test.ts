import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IssuanceRecords } from '../../shared/ledger/issuance-records.ts';
import { Revocations } from '../../shared/ledger/revocations.ts';
import type { IssuedRow } from '../../shared/ledger/row.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { TestCloud } from '../support/embedded-cloud.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { MintmarkCommand } from '../support/mintmark-command.ts';
import { deviceTlsYaml } from '../support/profile.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const key = generateEcKey('P-256');
const leaked = generateEcKey('P-256');
const folder = temporaryFolder('relint');

let cloud: TestCloud;
let lambda: LambdaClient;
/** Of devices that are well, whose key leaked, and whose row says a wrong end. */
let well: IssuedRow;
let known: IssuedRow;
let altered: IssuedRow;

const mintmark = new MintmarkCommand(() => ({ HOME: folder, ...cloud.local.cloud.environment }));

async function issue(name: string, privateKey: string): Promise<IssuedRow> {
  const deviceId = await cloud.newDevice(name);
  const request = { deviceId, requestId: 'r', csr: makePemCsr(privateKey, deviceId) };
  await cloud.request(request);
  return cloud.issued(request);
}

beforeAll(async () => {
  cloud = await TestCloud.start();
  const { endpoint, environment } = cloud.local.cloud;
  const credentials = { accessKeyId: 'SCHEDULE', secretAccessKey: 'local' };
  lambda = new LambdaClient({ endpoint, region: environment['AWS_REGION'] ?? '', credentials });
  [well, known, altered] = [await issue('well', key), await issue('known', leaked), await issue('altered', key)];
});
afterAll(async () => {
  lambda?.destroy();
  await cloud?.stop();
});

async function nightly(): Promise<unknown> {
  const { FunctionError: error, Payload: payload } = await lambda.send(
    new InvokeCommand({ FunctionName: cloud.local.cloud.functions['relint']?.arn, Payload: Buffer.from('{}') }),
  );
  expect(error).toBeUndefined();
  return JSON.parse(Buffer.from(payload ?? []).toString()) as unknown;
}

const told = (name: string) =>
  cloud.local.cloud.metrics.filter((metric) => metric.name === name).map(({ value }) => value);

it('of what was just issued nothing is broken', async () => {
  const { code, value } = await mintmark.json('relint');
  expect(value).toMatchObject({
    stage: 'local',
    rows: 3,
    checked: 3,
    broken: 0,
    withoutProfile: 0,
    passedOver: { notIssued: 0, expired: 0, revoked: 0, issuerUnknown: 0 },
    byRule: {},
    findings: [],
    complete: true,
    cursor: null,
  });
  expect(code).toBe(0);
  expect(await nightly()).toEqual({ rows: 3, checked: 3, broken: 0, isComplete: true });
  expect([told('CertificatesRelinted'), told('CertificatesBroken')]).toEqual([[3], [0]]);
});

describe('when a key leaked and a row was altered', () => {
  const wrongEnd = '2099-01-01T00:00:00.000Z';

  beforeAll(async () => {
    const file = join(folder, 'leaked.pem');
    writeFileSync(file, leaked);
    const { code, stderr } = await mintmark.run(['keys', 'block', file, '--reason', 'test']);
    if (code !== 0) throw new Error(`The key is not blocked: ${stderr}`);
    await cloud.local.clients.dynamoDB.send(
      new UpdateItemCommand({
        TableName: cloud.local.cloud.resources['IssuanceTable']?.ref,
        Key: { deviceId: { S: altered.deviceId }, requestId: { S: altered.requestId } },
        UpdateExpression: 'SET notAfter = :end',
        ExpressionAttributeValues: { ':end': { S: wrongEnd } },
      }),
    );
  });

  it('both are told, and the exit code says so', async () => {
    const { code, value } = await mintmark.json('relint');
    expect(code).toBe(1);
    const { findings, ...counts } = value as { readonly findings: readonly object[] };
    expect(counts).toMatchObject({
      checked: 3,
      broken: 2,
      byRule: { 'key-not-compromised': 1, 'not-after-of-its-row': 1 },
    });
    expect(findings).toHaveLength(2);
    expect(findings).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          deviceId: known.deviceId,
          serialNumber: known.serialNumber,
          issuerId: 'devices',
          broken: [{ rule: 'key-not-compromised', source: expect.stringContaining('RFC 5280') }],
        }),
        expect.objectContaining({ deviceId: altered.deviceId, notAfter: wrongEnd }),
      ]),
    );
  });

  it('for people as a table, and of one device alone', async () => {
    const ended = await mintmark.run(['relint', '--device', known.deviceId]);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toMatch(
      new RegExp(`^${known.deviceId} +r +${known.serialNumber} +devices +key-not-compromised$`, 'm'),
    );
    expect(ended.stdout).toMatch(/^checked +1\nbroken +1$/m);
    expect(await mintmark.run(['relint', '--device', well.deviceId])).toMatchObject({ code: 0 });
    expect(await mintmark.json('relint', '--profile', 'workload')).toMatchObject({ code: 0, value: { checked: 0 } });
  });

  it('into a file, as JSON lines and as CSV', async () => {
    const file = join(folder, 'broken.jsonl');
    expect(await mintmark.json('relint', '--out', file)).toMatchObject({
      code: 1,
      value: { broken: 2, findings: [], notListed: 2, file },
    });
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { deviceId: string }).deviceId).toSorted()).toEqual(
      [altered.deviceId, known.deviceId].toSorted(),
    );
    const table = join(folder, 'broken.csv');
    expect(await mintmark.run(['relint', '--out', table, '--format', 'csv'])).toMatchObject({ code: 1 });
    const [head, ...rows] = readFileSync(table, 'utf8').trimEnd().split('\r\n');
    expect(head).toBe('deviceId,requestId,serialNumber,issuerId,profile,issuedAt,notAfter,rules');
    expect(rows.find((row) => row.startsWith(known.deviceId))).toMatch(/,devices,device-tls,.*,key-not-compromised$/);
  });

  it('a profile that is another by now holds for none of them', async () => {
    const profiles = temporaryFolder('relint-profiles');
    writeFileSync(join(profiles, 'device-tls.yaml'), `${deviceTlsYaml}\n# changed\n`);
    const { value } = await mintmark.json('relint', '--profiles', profiles);
    expect(value).toMatchObject({ checked: 3, withoutProfile: 3, broken: 2 });
  });

  it('the function writes a line for each, and tells CloudWatch', async () => {
    expect(await nightly()).toMatchObject({ checked: 3, broken: 2 });
    expect(told('CertificatesBroken').at(-1)).toBe(2);
    const line = () => cloud.lines.find((text) => text.includes('"broken"') && text.includes(known.deviceId));
    const text = await cloud.until(line, 'line of what is broken');
    expect(JSON.parse(text)).toMatchObject({
      level: 'WARN',
      message: 'broken',
      service: 'relint',
      requestId: 'r',
      serialNumber: known.serialNumber,
      issuerId: 'devices',
      rules: [expect.stringMatching(/^key-not-compromised \(/)],
    });
  });

  it('what is revoked is dealt with', async () => {
    const { clients, cloud: local } = cloud.local;
    const records = new IssuanceRecords(clients.dynamoDB, local.resources['IssuanceTable']?.ref ?? '');
    const revocations = new Revocations(clients.dynamoDB, local.resources['RevocationsTable']?.ref ?? '');
    for (const { issuerId = '', crlShard = Number.NaN, serialNumber = '' } of await records.get([known])) {
      await revocations.revokeAbandoned({ issuerId, crlShard, serialNumber }, Date.now());
    }
    expect((await mintmark.json('relint')).value).toMatchObject({ checked: 2, broken: 1, passedOver: { revoked: 1 } });
    expect(await nightly()).toMatchObject({ checked: 2, broken: 1 });
  });
});

describe('wrong use', () => {
  it.each([
    ['an issuer that there is not', ['--issuer', 'none'], /There is no issuer none\. The issuers are: devices\./],
    ['profiles that are not there', ['--profiles', join(folder, 'none')], /cannot be read/],
    ['a cursor of nobody', ['--cursor', 'none'], /not one that this list has given/],
    ['a file in no folder', ['--out', join(folder, 'none', 'file')], /cannot be written \(ENOENT\)/],
    ['a format that is none', ['--format', 'xml'], /Allowed choices are jsonl, csv/],
  ])('%s', async (_, args, sentence) => {
    const ended = await mintmark.run(['relint', ...args]);
    expect(ended).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(sentence) });
  });
});
