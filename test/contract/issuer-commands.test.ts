import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DeleteItemCommand,
  GetItemCommand,
  PutItemCommand,
  ScanCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { GetPublicKeyCommand, type KMSClient } from '@aws-sdk/client-kms';
import { CommanderError } from 'commander';
import { beforeEach, describe, expect, it } from 'vitest';
import { UsageError } from '../../cli/errors.ts';
import { certificatePem } from '../../shared/issuance/certificate.ts';
import { IssuerNameRecords } from '../../shared/ledger/issuer-name-records.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { printable } from '../../shared/terminal/printable.ts';
import { runWith } from '../support/command-on-tables.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { deviceTlsYaml } from '../support/profile.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { wrapClient } from '../support/wrapped-client.ts';

/** `mintmark issuers`, on a DynamoDB emulator. The shipped device-tls issues for 365 days, by the name `devices`. */

const start = Date.parse('2026-11-22T12:00:00Z');
const day = 86_400_000;
const validity = { notBefore: new Date(start - day), notAfter: new Date(start + 3650 * day) };
const [oldCa, newCa, third] = ['devices', 'devices-2', 'devices-3'].map((issuerId) =>
  makeIssuingCa({ issuerId, ...validity }),
) as [ReturnType<typeof makeIssuingCa>, ReturnType<typeof makeIssuingCa>, ReturnType<typeof makeIssuingCa>];
const ended = makeIssuingCa({
  issuerId: 'ended',
  notBefore: new Date(start - 2 * day),
  notAfter: new Date(start - 1000),
});
const short = makeIssuingCa({ issuerId: 'short', ...validity, notAfter: new Date(start + 200 * day) });

const folder = temporaryFolder('issuer-commands');
writeFileSync(join(folder, 'device-tls.yaml'), deviceTlsYaml);
function write(name: string, ...ders: readonly Uint8Array[]): string {
  const file = join(folder, name);
  writeFileSync(file, ders.map(certificatePem).join(''));
  return file;
}
const file = write('new.pem', newCa.issuer.certificate, newCa.root);
const alone = write('alone.pem', newCa.issuer.certificate);
const root = write('root.pem', newCa.root);
const kms = 'awskms:key-id=12345678-1234-1234-1234-123456789012';
const hsm = 'pkcs11:token=fleet;object=devices-2;type=private';

let store: Tables;
let issuers: Issuers;
let names: IssuerNameRecords;
let now: number;

beforeEach(async () => {
  store = await startTables();
  issuers = new Issuers(store.client, tables.issuers);
  names = new IssuerNameRecords(store.client, tables.issuers);
  await issuers.add(oldCa.issuer);
  now = start;
  keyInKms = publicKeyOf(newCa.issuer.certificate);
  denied = false;
  return () => store.close();
});

/** KMS, which has one key: that of the new CA, unless another is said. */
let keyInKms: KeyObject;
let denied: boolean;
const kmsClient = {
  config: { region: async () => 'eu-west-1' },
  send: async (command: unknown) => {
    if (denied) throw Object.assign(new Error('not authorized to perform: kms'), { name: 'AccessDeniedException' });
    if (command instanceof GetPublicKeyCommand) {
      return { PublicKey: new Uint8Array(keyInKms.export({ type: 'spki', format: 'der' })) };
    }
    return {
      KeyMetadata: {
        KeyId: 'key',
        KeyUsage: 'SIGN_VERIFY',
        KeyState: 'Enabled',
        SigningAlgorithms: ['RSASSA_PKCS1_V1_5_SHA_256'],
      },
    };
  },
} as unknown as KMSClient;
const clients = { kms: async () => kmsClient };
const publicKeyOf = (certificate: Uint8Array) => new X509Certificate(certificate).publicKey;

const runOnTables = (on: Pick<Tables, 'client'>, clock: () => number, ...words: readonly string[]) =>
  runWith(on, clock, { clients }, words);
const run = (...words: readonly string[]) => runOnTables(store, () => now, ...words, '--profiles', folder);

/** The sentence of what is wrong with how a command was used. */
const refusal = (running: Promise<unknown>): Promise<string> =>
  running.then(
    (result) => {
      throw new Error(`Not refused: ${JSON.stringify(result)}`);
    },
    (error: unknown) => {
      if (error instanceof UsageError || error instanceof CommanderError) return error.message;
      throw error;
    },
  );

const options = {
  '--id': 'devices-2',
  '--signer-uri': kms,
  '--base-url': 'http://ca-2.example.com',
  '--crl-shards': '4',
} as const;
const add = (
  over: Partial<Record<keyof typeof options | '--chain' | '--cluster-id' | '--signature-algorithm', string>> = {},
  certificate = file,
) => run('issuers', 'add', certificate, ...Object.entries({ ...options, ...over }).flat());

describe('issuers add', () => {
  it('writes the row, active, which issues nothing yet', async () => {
    const { exitCode, json } = await add();
    expect(exitCode).toBe(0);
    expect(json).toMatchObject({
      change: 'added',
      issuer: { issuerId: 'devices-2', state: 'active', names: [], profiles: [], key: 'rsa 2048', rollBy: null },
      next: [
        expect.stringContaining('http://ca-2.example.com/ca/devices-2.cer'),
        expect.stringContaining('issuerKeyArns'),
        expect.stringContaining('issuers activate devices-2'),
      ],
    });
    expect(await issuers.read('devices-2')).toEqual({
      issuerId: 'devices-2',
      state: 'active',
      certificate: newCa.issuer.certificate,
      chain: [newCa.root],
      signerUri: kms,
      sealedPins: {},
      baseUrl: 'http://ca-2.example.com',
      crlShardCount: 4,
    });
  });

  it('takes the chain from a file of its own, and a key in a cluster', async () => {
    const inHsm = { '--signer-uri': hsm, '--cluster-id': 'cluster-abcdefghijk' };
    const { json } = await add({ ...inHsm, '--chain': root, '--signature-algorithm': 'rsa-pss-sha384' }, alone);
    expect(json).toMatchObject({ next: [expect.anything(), expect.stringContaining('Seal'), expect.anything()] });
    expect(await issuers.read('devices-2')).toMatchObject({
      chain: [newCa.root],
      clusterId: 'cluster-abcdefghijk',
      signatureAlgorithm: 'rsa-pss-sha384',
    });
  });

  it.each([
    ['an id that is there', { '--id': 'devices' }, file, 'There is an issuer devices already.'],
    ['an id of another row', { '--id': '#canary#x' }, file, 'small letters'],
    ['no file', {}, join(folder, 'none.pem'), 'cannot be read (ENOENT)'],
    ['no certificate', {}, join(folder, 'device-tls.yaml'), 'is no certificate that can be read'],
    ['two chains', { '--chain': root }, file, '--chain names another'],
    ['no chain', {}, alone, 'is the last one, and is not self-signed'],
    [
      "another CA's chain",
      { '--chain': write('other.pem', oldCa.root) },
      alone,
      'was not issued by the one that follows',
    ],
    ['a root in its place', { '--chain': root }, root, 'is self-signed, and another one follows it'],
    [
      'a CA that has ended',
      {},
      write('ended.pem', ended.issuer.certificate, ended.root),
      'it ended on 2026-11-22T11:59:59',
    ],
    [
      'a CA that is there',
      {},
      write('old.pem', oldCa.issuer.certificate, oldCa.root),
      'devices has the same name and key',
    ],
    ['a URL with TLS', { '--base-url': 'https://ca.example.com' }, file, 'plain http'],
    ['a URL with a slash', { '--base-url': 'http://ca.example.com/' }, file, 'plain http'],
    ['a URL with a query', { '--base-url': 'http://ca.example.com?x' }, file, 'plain http'],
    ['no URL', { '--base-url': 'http:///x' }, file, 'plain http'],
    ['no shard', { '--crl-shards': '0' }, file, 'from 1 to 65536'],
    ['too many shards', { '--crl-shards': '65537' }, file, 'from 1 to 65536'],
    ['an alias', { '--signer-uri': 'awskms:key-id=alias/ca' }, file, 'an alias can be moved'],
    [
      'no key',
      { '--signer-uri': 'pkcs11:token=fleet', '--cluster-id': 'cluster-abcdefghijk' },
      file,
      'object, id or both',
    ],
    ['a key in no cluster', { '--signer-uri': hsm }, file, 'which CloudHSM cluster'],
    ['a cluster without need', { '--cluster-id': 'cluster-abcdefghijk' }, file, 'in no cluster'],
    ['an algorithm of other keys', { '--signature-algorithm': 'ecdsa-sha256' }, file, 'cannot sign with ecdsa'],
    ['an algorithm that is none', { '--signature-algorithm': 'rsa' }, file, 'none of ecdsa-sha256'],
  ])('refuses %s, and writes nothing', async (_, over, certificate, sentence) => {
    expect(await refusal(add(over, certificate))).toContain(sentence);
    const { Items: items } = await store.client.send(new ScanCommand({ TableName: tables.issuers }));
    expect(items).toHaveLength(1);
  });

  it('refuses a key in KMS that is not the one in the certificate, or cannot be looked at', async () => {
    keyInKms = publicKeyOf(third.issuer.certificate);
    expect(await refusal(add())).toBe(
      "The issuer could not sign: The KMS key is not the one in the issuer's certificate.",
    );
    denied = true;
    expect(await refusal(add())).toContain('may not ask KMS about the key');
    expect(await issuers.read('devices-2')).toBeUndefined();
    expect(await run('issuers', 'add', file, ...Object.entries(options).flat(), '--unchecked-key')).toMatchObject({
      exitCode: 0,
      json: { notes: [expect.stringContaining('Nobody asked KMS')] },
    });
  });

  it('says that another issuer has the same key', async () => {
    await issuers.add({ ...third.issuer, signerUri: kms });
    expect(await add()).toMatchObject({ json: { notes: [expect.stringContaining('devices-3 has the same key')] } });
  });

  it('refuses a PIN in the URI, and does not repeat it', async () => {
    const uri = `${hsm}?pin-value=user:secret`;
    const sentence = await refusal(add({ '--signer-uri': uri, '--cluster-id': 'cluster-abcdefghijk' }));
    expect(sentence).toContain('must not hold a PIN');
    expect(sentence).not.toContain('secret');
  });

  it('replaces none that was added at the same moment', async () => {
    const other = wrapClient(store.newClient());
    other.before(
      (command) => command instanceof PutItemCommand,
      () => issuers.add({ ...third.issuer, issuerId: 'devices-2' }),
    );
    const words = ['issuers', 'add', file, ...Object.entries(options).flat(), '--profiles', folder];
    expect(await refusal(runOnTables(other, () => now, ...words))).toBe('There is an issuer devices-2 already.');
    expect((await issuers.read('devices-2'))?.certificate).toEqual(third.issuer.certificate);
  });

  it('says that a profile names it already', async () => {
    writeFileSync(join(folder, 'device-tls.yaml'), deviceTlsYaml.replace(/^issuer: .*$/m, 'issuer: devices-2'));
    const { json } = await add().finally(() => writeFileSync(join(folder, 'device-tls.yaml'), deviceTlsYaml));
    expect(json).toMatchObject({
      next: [expect.anything(), expect.anything(), expect.stringContaining('from now on')],
    });
  });
});

describe('issuers activate', () => {
  const activate = (issuerId: string, ...more: readonly string[]) =>
    run('issuers', 'activate', issuerId, '--name', 'devices', ...more);

  it('says what the name led to, and from when on it leads elsewhere', async () => {
    await add();
    expect(await activate('devices-2')).toMatchObject({
      exitCode: 0,
      json: {
        change: 'activated',
        previousIssuerId: 'devices',
        activatedAt: '2026-11-22T12:00:00.000Z',
        effectiveAt: '2026-11-22T12:01:00.000Z',
        warnings: [],
      },
    });
    now += day;
    expect(await activate('devices-2')).toMatchObject({ exitCode: 0, json: { change: 'unchanged' } });
    expect((await names.list()).names).toMatchObject([
      { name: 'devices', target: 'devices-2', previousTarget: 'devices', activatedAt: start },
    ]);
    expect(await activate('devices')).toMatchObject({ json: { change: 'activated', previousIssuerId: 'devices-2' } });
  });

  it('changes nothing where the name is the id', async () => {
    expect(await activate('devices')).toMatchObject({ exitCode: 0, json: { change: 'unchanged' } });
    expect((await names.list()).names).toEqual([]);
  });

  it('refuses what could not issue', async () => {
    await issuers.add({ ...newCa.issuer, state: 'retired' });
    await issuers.add(ended.issuer);
    await issuers.add({ ...third.issuer, sealedPins: { 'eu-central-1': Uint8Array.of(1) } });
    expect(await refusal(activate('nobody'))).toBe('There is no issuer nobody.');
    expect(await refusal(activate('devices-2'))).toBe('devices-2 is retired.');
    expect(await refusal(activate('ended'))).toContain('it ended on');
    expect(await refusal(activate('devices-3'))).toContain('no PIN sealed for the Region eu-west-1');
    expect((await names.list()).names).toEqual([]);
  });

  it('warns of profiles that it is too short for, of a name that no profile has, and of a breaker', async () => {
    await issuers.add(short.issuer);
    const Item = { issuerId: { S: '#breaker#short' }, state: { S: 'open' }, revision: { N: '1' } };
    await store.client.send(new PutItemCommand({ TableName: tables.issuers, Item }));
    expect(await activate('short')).toMatchObject({
      exitCode: 0,
      json: { warnings: [expect.stringContaining('device-tls'), expect.stringContaining('breaker is open')] },
    });
    const { json } = await run('issuers', 'activate', 'devices', '--name', 'nobodys', '--new-name');
    expect(json).toMatchObject({
      previousIssuerId: null,
      warnings: [expect.stringContaining('No profile that was read names nobodys')],
    });
    await add();
    expect(await run('issuers', 'activate', 'devices-2', '--name', 'nobodys')).toMatchObject({ exitCode: 0 });
  });

  it('refuses a name that no profile has, and where none is read one that nobody issued by', async () => {
    const nobodys = ['issuers', 'activate', 'devices', '--name', 'nobodys'];
    expect(await refusal(run(...nobodys))).toBe(
      'No profile that was read names nobodys: nothing would be issued by it.',
    );
    const elsewhere = process.cwd();
    process.chdir(temporaryFolder('without-profiles'));
    const unread = (...words: readonly string[]) => runOnTables(store, () => now, ...words);
    try {
      expect(await refusal(unread(...nobodys))).toContain('No profiles are read');
      await add();
      expect(await unread('issuers', 'activate', 'devices-2', '--name', 'devices')).toMatchObject({
        exitCode: 0,
        notes: [expect.stringContaining('No profiles are read')],
      });
      expect(await refusal(unread('issuers', 'deactivate', 'devices'))).toContain('No profiles are read');
    } finally {
      process.chdir(elsewhere);
    }
    expect((await names.list()).names).toMatchObject([{ name: 'devices' }]);
  });

  it("refuses a key in KMS that is not the one in the issuer's certificate", async () => {
    await issuers.add({ ...newCa.issuer, signerUri: kms });
    keyInKms = publicKeyOf(third.issuer.certificate);
    expect(await refusal(activate('devices-2'))).toContain("not the one in the issuer's certificate");
    expect((await names.list()).names).toEqual([]);
    expect(await activate('devices-2', '--unchecked-key')).toMatchObject({
      exitCode: 0,
      json: { warnings: [expect.stringContaining('Nobody asked KMS')] },
    });
  });

  it('lets one of two operators through, and only from where one thinks it leads', async () => {
    await add();
    await issuers.add(third.issuer);
    const other = wrapClient(store.newClient());
    other.before(
      (command) => command instanceof UpdateItemCommand,
      () => activate('devices-3'),
    );
    const words = ['issuers', 'activate', 'devices-2', '--name', 'devices', '--profiles', folder];
    expect(await refusal(runOnTables(other, () => now, ...words))).toContain('at the same moment');
    expect((await names.list()).names).toMatchObject([{ target: 'devices-3' }]);
    expect(await refusal(activate('devices-2', '--from', 'devices'))).toBe(
      'devices leads to devices-3, not to devices.',
    );
    expect((await activate('devices-2', '--from', 'devices-3')).exitCode).toBe(0);
  });

  it('takes itself back where the issuer is retired at the same moment', async () => {
    await add();
    const other = wrapClient(store.newClient());
    other.before(
      (command) => command instanceof UpdateItemCommand,
      () => issuers.retire('devices-2', now),
    );
    const words = ['issuers', 'activate', 'devices-2', '--name', 'devices', '--profiles', folder];
    expect(await refusal(runOnTables(other, () => now, ...words))).toContain('devices leads to devices again');
    expect((await names.list()).names).toMatchObject([{ name: 'devices', target: 'devices' }]);
  });
});

describe('issuers deactivate', () => {
  const deactivate = (name: string) => run('issuers', 'deactivate', name);

  it('takes a name away that no profile has, so that its issuer can be retired', async () => {
    await run('issuers', 'activate', 'devices', '--name', 'nobodys', '--new-name');
    await add();
    await run('issuers', 'activate', 'devices-2', '--name', 'devices');
    now += 120_000;
    expect(await run('issuers', 'retire', 'devices')).toMatchObject({
      exitCode: 1,
      json: { reasons: [expect.stringContaining('mintmark issuers deactivate nobodys')] },
    });
    expect(await deactivate('nobodys')).toMatchObject({
      exitCode: 0,
      json: { change: 'deactivated', previousIssuerId: 'devices' },
    });
    expect((await names.list()).names).toMatchObject([{ name: 'devices' }]);
    expect(await deactivate('nobodys')).toMatchObject({ exitCode: 0, json: { change: 'unchanged' } });
    expect(await run('issuers', 'retire', 'devices')).toMatchObject({ exitCode: 0, json: { change: 'retired' } });
  });

  it('refuses one that a profile has', async () => {
    await add();
    await run('issuers', 'activate', 'devices-2', '--name', 'devices');
    expect(await refusal(deactivate('devices'))).toBe('The profiles device-tls issue by the name devices.');
    expect((await names.list()).names).toMatchObject([{ name: 'devices', target: 'devices-2' }]);
  });

  it('takes none away that was made to lead elsewhere at the same moment', async () => {
    await add();
    await run('issuers', 'activate', 'devices', '--name', 'nobodys', '--new-name');
    const other = wrapClient(store.newClient());
    other.before(
      (command) => command instanceof DeleteItemCommand,
      () => run('issuers', 'activate', 'devices-2', '--name', 'nobodys'),
    );
    const words = ['issuers', 'deactivate', 'nobodys', '--profiles', folder];
    expect(await refusal(runOnTables(other, () => now, ...words))).toContain('at the same moment');
    expect((await names.list()).names).toMatchObject([{ name: 'nobodys', target: 'devices-2' }]);
  });
});

describe('issuers retire', () => {
  const retire = (issuerId: string, ...more: readonly string[]) => run('issuers', 'retire', issuerId, ...more);

  it('refuses while it is named by a profile, led to, or was led to a moment ago', async () => {
    const reasonsOf = async (issuerId: string) => {
      const { exitCode, json } = await retire(issuerId);
      expect(exitCode).toBe(1);
      return (json as { readonly reasons: readonly string[] }).reasons;
    };
    expect(await reasonsOf('devices')).toEqual(['Profiles name it by its id: device-tls.']);
    await add();
    await names.point('devices', 'devices-2', undefined, now);
    expect(await reasonsOf('devices-2')).toEqual(['The name devices leads to it.']);
    now += 119_999;
    expect(await reasonsOf('devices')).toEqual([expect.stringContaining('until 2026-11-22T12:02:00Z')]);
    now += 1;
    expect(await retire('devices')).toMatchObject({ exitCode: 0, json: { change: 'retired' } });
    expect(await retire('devices')).toMatchObject({ exitCode: 0, json: { change: 'unchanged' } });
  });

  it('refuses what a name led to a moment ago, however often it was switched since', async () => {
    await add();
    await issuers.add(third.issuer);
    for (const target of ['devices-2', 'devices', 'devices-2']) {
      const { names: rows } = await names.list();
      expect(await names.point('devices', target, rows[0], now)).toBe(true);
      now += 10_000;
    }
    // By now it has left `devices` twice, and what counts is the second time.
    const [row] = (await names.list()).names;
    await names.point('devices', 'devices-3', row, now);
    now += 99_999;
    expect(await retire('devices')).toMatchObject({
      exitCode: 1,
      json: { reasons: [expect.stringContaining('until 2026-11-22T12:02:20Z')] },
    });
    now += 1;
    expect(await retire('devices-2')).toMatchObject({ exitCode: 1 });
    now += 20_000;
    expect(await retire('devices')).toMatchObject({ exitCode: 0, json: { change: 'retired' } });
  });

  it('keeps the row for CRLs, with when it was; and takes it back', async () => {
    expect((await retire('devices', '--force')).exitCode).toBe(0);
    const command = new GetItemCommand({ TableName: tables.issuers, Key: { issuerId: { S: 'devices' } } });
    expect((await store.client.send(command)).Item).toMatchObject({
      state: { S: 'retired' },
      retiredAt: { S: '2026-11-22T12:00:00.000Z' },
    });
    expect(await issuers.read('devices')).toEqual({ ...oldCa.issuer, state: 'retired' });
    expect(await retire('devices', '--undo')).toMatchObject({ exitCode: 0, json: { change: 'reinstated' } });
    expect(await retire('devices', '--undo')).toMatchObject({ exitCode: 0, json: { change: 'unchanged' } });
    expect(await issuers.read('devices')).toEqual(oldCa.issuer);
    expect((await store.client.send(command)).Item).not.toHaveProperty('retiredAt');
  });

  it('takes itself back where a name is made to lead to it at the same moment', async () => {
    await add();
    const other = wrapClient(store.newClient());
    other.before(
      (command) => command instanceof UpdateItemCommand,
      () => names.point('devices', 'devices-2', undefined, now),
    );
    const words = ['issuers', 'retire', 'devices-2', '--profiles', folder];
    expect(await runOnTables(other, () => now, ...words)).toMatchObject({
      exitCode: 1,
      json: { change: 'refused' },
    });
    expect((await issuers.read('devices-2'))?.state).toBe('active');
  });
});

describe('issuers list and show', () => {
  it('tell who issues by which name, and by when the next one has to', async () => {
    await add();
    await names.point('devices', 'devices-2', undefined, now);
    await names.point('elsewhere', 'nobody', undefined, now);
    const Item = { issuerId: { S: '#issuing#broken' }, target: { N: '1' } };
    await store.client.send(new PutItemCommand({ TableName: tables.issuers, Item }));
    const { exitCode, json, lines } = await run('issuers', 'list');
    expect(exitCode).toBe(1);
    expect(json).toMatchObject({
      issuers: [
        { issuerId: 'devices', names: [], profiles: [], rollBy: null, breaker: { state: 'closed' } },
        { issuerId: 'devices-2', names: ['devices'], profiles: ['device-tls'] },
      ],
      names: [
        { name: 'devices', issuerId: 'devices-2', previousIssuerId: 'devices' },
        { name: 'elsewhere', issuerId: 'nobody' },
      ],
      problems: [expect.stringContaining('#issuing#broken'), expect.stringContaining('elsewhere leads to nobody')],
    });
    expect(lines.join('\n')).toContain('devices-2');
    const shown = await run('issuers', 'show', 'devices-2');
    expect(shown).toMatchObject({
      exitCode: 0,
      json: {
        issuer: { signerUri: kms, baseUrl: 'http://ca-2.example.com', crlShardCount: 4, isTooShort: false },
        certificate: certificatePem(newCa.issuer.certificate),
      },
    });
    expect(shown.lines.join('\n')).toContain(certificatePem(newCa.issuer.certificate).trimEnd());
    expect(shown.lines.filter((line) => printable(line) !== line)).toEqual([]);
    const { rollBy } = (shown.json as { readonly issuer: { readonly rollBy: string } }).issuer;
    expect(Date.parse(rollBy)).toBeLessThan(start + (3650 - 364) * day);
    expect(await refusal(run('issuers', 'show', 'nobody'))).toBe('There is no issuer nobody.');
  });

  it('show what is overdue', async () => {
    await issuers.add(short.issuer);
    await names.point('devices', 'short', undefined, now);
    expect(await run('issuers', 'list')).toMatchObject({
      exitCode: 1,
      json: { problems: ['short ends before the certificates of a profile would: roll it.'] },
    });
  });

  it('show a certificate that cannot be read as such', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const certificate = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
    await issuers.add({ ...third.issuer, certificate });
    expect(await run('issuers', 'show', 'devices-3')).toMatchObject({ exitCode: 1, json: { certificate: null } });
    expect((await run('issuers', 'list')).lines.join('\n')).toContain('unreadable');
  });
});
