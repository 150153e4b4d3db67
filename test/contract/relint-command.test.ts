import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../cli/errors.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { runOnTables } from '../support/command-on-tables.ts';
import { issuedRow } from '../support/issued-row.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { deviceTlsYaml } from '../support/profile.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** `mintmark relint`, on a table with one certificate that breaks no rule and one that is in a wrong shard. */

const now = Date.parse('2026-11-22T12:00:00Z');
const day = 86_400_000;
const folder = temporaryFolder('relint-command');
writeFileSync(join(folder, 'device-tls.yaml'), deviceTlsYaml);
writeFileSync(join(folder, 'door-tls.yaml'), deviceTlsYaml.replace('name: device-tls', 'name: door-tls'));

let store: Tables;
beforeAll(async () => {
  store = await startTables();
  const ca = makeIssuingCa({ notBefore: new Date(now - day), notAfter: new Date(now + 3650 * day) });
  await new Issuers(store.client, tables.issuers).add(ca.issuer);
  for (const deviceId of ['device-1', 'broken']) {
    const row = issuedRow(ca, now);
    await store.client.send(
      new PutItemCommand({
        TableName: tables.issuance,
        Item: {
          deviceId: { S: deviceId },
          requestId: { S: 'request' },
          state: { S: 'issued' },
          issuerId: { S: 'devices' },
          profile: { S: row.profile ?? '' },
          profileHash: { S: row.profileHash ?? '' },
          serialNumber: { S: row.serialNumber ?? '' },
          crlShard: { N: deviceId === 'broken' ? '99' : String(row.crlShard) },
          certificate: { B: row.certificate ?? new Uint8Array() },
          notAfter: { S: new Date(row.notAfter ?? 0).toISOString() },
          issuedAt: { S: new Date(now).toISOString() },
        },
      }),
    );
  }
});
afterAll(() => store.close());

const relint = (...words: readonly string[]) => runOnTables(store, () => now, 'relint', '--profiles', folder, ...words);

describe('relint of what there is not', () => {
  it.each([
    ['--device', 'nobody', 1],
    ['--serial', '00ff', 1],
    ['--expires', '2026-11-22', 0],
    ['--profile', 'door-tls', 0],
  ])('is said, and no good news of one: %s %s', async (option, value, code) => {
    const { exitCode, lines } = await relint(option, value);
    expect([exitCode, lines[0]]).toEqual([code, 'There is no such certificate.']);
  });

  it('is not said of one that there is', async () => {
    const { exitCode, json, lines } = await relint('--device', 'device-1');
    expect({ exitCode, json }).toMatchObject({ exitCode: 0, json: { checked: 1, broken: 0 } });
    expect(lines[0]).toMatch(/^checked /);
  });

  it('refuses a profile that is none', async () => {
    const refused = await relint('--profile', 'device-tsl').catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(UsageError);
    expect(refused).toMatchObject({
      message: 'There is no profile device-tsl.',
      cure: expect.stringContaining('device-tls, door-tls'),
    });
  });
});

describe('the file of a relint', () => {
  const key = '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n';
  const out = (format: string) => join(folder, `findings.${format}`);

  it.each(['jsonl', 'csv'])('%s: is written over its like, and over nothing else', async (format) => {
    const write = (...more: readonly string[]) => relint('--format', format, '--out', out(format), ...more);
    for (const content of [key, '{"deviceId": "door-7"}\n', 'deviceId,fleet\r\n']) {
      writeFileSync(out(format), content);
      const refused = await write('--device', 'device-1').catch((error: unknown) => error);
      expect(refused).toMatchObject({ message: expect.stringContaining('holds something else than') });
      expect(readFileSync(out(format), 'utf8')).toBe(content);
    }
    writeFileSync(out(format), '');
    const broken = await write();
    expect(broken).toMatchObject({ exitCode: 1, json: { broken: 1 } });
    expect(broken.lines.at(-1)).toBe(`What is broken is in ${out(format)}.`);
    expect(readFileSync(out(format), 'utf8')).toContain('broken');
    const well = await write('--device', 'device-1');
    expect(well.exitCode).toBe(0);
    expect(well.lines.at(-1)).toBe(`Nothing is broken: ${out(format)} holds no finding.`);
  });
});
