import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { PutItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import {
  ConnectCustomKeyStoreCommand,
  CreateCustomKeyStoreCommand,
  CreateKeyCommand,
  type CreateKeyCommandInput,
  type KMSClient,
} from '@aws-sdk/client-kms';
import type { LambdaClient } from '@aws-sdk/client-lambda';
import { CommanderError } from 'commander';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { UsageError } from '../../cli/errors.ts';
import type { Clients } from '../../cli/session.ts';
import { Breakers } from '../../shared/breaker/breakers.ts';
import { canaryPinPurpose, findCanary, writeCanary } from '../../shared/cluster/canary-record.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { SealedPins } from '../../shared/ledger/sealed-pins.ts';
import { unsealPin } from '../../shared/signer/pin.ts';
import { type CommandEnded, runWith, type Surroundings } from '../support/command-on-tables.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { wrapClient } from '../support/wrapped-client.ts';
import { region, startTestStub, type TestStub } from './stub-fixture.ts';

/** `mintmark pin`, on a DynamoDB emulator and the KMS stub: who seals may not decrypt, so the test does. */

const start = Date.parse('2026-11-22T12:00:00Z');
const minute = 60_000;
const validity = { notBefore: new Date(start - minute), notAfter: new Date(start + 1e11) };
const { issuer } = makeIssuingCa(validity);
const first = 'user_1:recognisable-A1';
const second = 'user_2:recognisable-B2';

let stub: TestStub;
let store: Tables;
let pins: SealedPins;
let now: number;
beforeAll(async () => {
  stub = await startTestStub();
});
afterAll(() => stub?.stop());
beforeEach(async () => {
  now = start;
  store = await startTables();
  pins = new SealedPins(store.client, tables.issuers);
  await new Issuers(store.client, tables.issuers).add({ ...issuer, clusterId: stub.clusterId, sealedPins: {} });
  return () => store.close();
});

/** Another Region's KMS, as far as sealing goes: its key is in a cluster of its own. */
const otherRegion = 'eu-central-1';
const otherKey = `arn:aws:kms:${otherRegion}:111122223333:key/11111111-2222-3333-4444-555555555555`;
const otherCluster = 'cluster-copyoftheother';
const otherKms = {
  send: async (command: { readonly input: { readonly Plaintext?: Uint8Array } }) =>
    command.input.Plaintext === undefined
      ? {
          KeyMetadata: {
            Arn: otherKey,
            Origin: 'AWS_CLOUDHSM',
            CloudHsmClusterId: otherCluster,
            KeySpec: 'SYMMETRIC_DEFAULT',
            KeyUsage: 'ENCRYPT_DECRYPT',
            KeyState: 'Enabled',
          },
        }
      : { CiphertextBlob: Buffer.from(`sealed in ${otherRegion}`) },
} as unknown as KMSClient;

const kms: Clients['kms'] = async (of) => (of === region ? stub.kms : otherKms);

/** Lambda and CloudWatch, as a rotation looks at them. */
const deployed = (at: number, signatures: number): Partial<Clients> => ({
  lambda: async () =>
    ({
      send: async () => ({
        LastModified: new Date(at).toISOString().replace('Z', '+0000'),
        LastUpdateStatus: 'Successful',
      }),
    }) as unknown as LambdaClient,
  cloudWatch: async () => {
    const client = new CloudWatchClient({ region });
    client.send = async () => ({
      MetricDataResults: [{ Id: 'made_0', Values: signatures === 0 ? [] : [signatures] }],
    });
    return client;
  },
});

const run = (
  input: string,
  words: readonly string[],
  { clients = {}, on = store }: Surroundings & { on?: Pick<Tables, 'client'> } = {},
) => runWith(on, () => now, { clients: { kms, ...clients }, input }, ['pin', ...words]);

const key = () => ['--key', stub.sealingKeyArn];
const seal = (pin: string, ...more: readonly string[]) => run(pin, ['seal', '--issuer', 'devices', '--yes', ...more]);

const refusal = (running: Promise<CommandEnded>): Promise<string> =>
  running.then(
    (result) => {
      throw new Error(`Not refused: ${JSON.stringify(result)}`);
    },
    (error: unknown) => {
      if (error instanceof UsageError || error instanceof CommanderError) return `${error.message}`;
      throw error;
    },
  );

/** As the issue function has it. */
async function unsealed(stage = 'test'): Promise<string> {
  const row = await new Issuers(store.client, tables.issuers).read('devices');
  const envelope = row?.sealedPins[region] ?? new Uint8Array();
  const purpose = { clusterId: row?.clusterId ?? '', issuerId: 'devices', stage };
  return Buffer.from(await unsealPin(stub.kms, envelope, purpose)).toString();
}

/** Whatever it says, the PIN is not in it. */
function expectSilent({ lines, json, notes }: CommandEnded): void {
  const said = `${lines.join('\n')}${JSON.stringify(json)}${notes.join('\n')}`;
  expect(said.includes('recognisable')).toBe(false);
}

describe('pin seal', () => {
  it('encrypts what comes through a pipe for this stage, cluster and issuer', async () => {
    const ended = await seal(`${first}\n`, ...key());
    expectSilent(ended);
    expect(ended).toMatchObject({
      exitCode: 0,
      json: {
        change: 'sealed',
        issuerId: 'devices',
        userName: 'user_1',
        regions: [
          {
            region,
            userName: 'user_1',
            keyArn: stub.sealingKeyArn,
            clusterId: stub.clusterId,
            sealedAt: '2026-11-22T12:00:00.000Z',
          },
        ],
        breakGlass: null,
      },
    });
    expect(ended.notes.join('\n')).toContain(
      `${region}: sealed with ${stub.sealingKeyArn}, in ${stub.clusterId}; none is there yet`,
    );
    expect(await unsealed()).toBe(first);
    await expect(unsealed('prod')).rejects.toMatchObject({ code: 'PIN_UNSEAL_REFUSED' });
    const row = await new Issuers(store.client, tables.issuers).read('devices');
    expect(row).toMatchObject({ baseUrl: issuer.baseUrl, certificate: issuer.certificate });
  });

  it('knows the key of before, and says whose PIN it replaces', async () => {
    await seal(first, ...key());
    now += minute;
    const ended = await seal('USER_1:recognisable-A2');
    expect(await unsealed()).toBe('USER_1:recognisable-A2');
    expect(ended.notes.join('\n')).toContain('in place of that of user_1, sealed 2026-11-22T12:00:00Z');
    const other = await seal(second, '--region', region);
    expect(other.json).toMatchObject({
      notes: [
        expect.stringContaining('user_2 is another crypto user than USER_1'),
        expect.stringContaining('pin rotate'),
      ],
    });
  });

  it('seals in several Regions at once, each with a key of its own, and leaves the others', async () => {
    await seal(first, ...key());
    const both = [...key(), '--key', otherKey];
    expect(await refusal(seal(first, ...both))).toContain(
      `is in the cluster ${otherCluster}, and the PIN is one of ${stub.clusterId}`,
    );
    await seal(first, ...both, '--cluster', otherCluster);
    expect((await pins.read('devices'))?.pins).toMatchObject({
      [region]: { seal: { clusterId: stub.clusterId } },
      [otherRegion]: { seal: { clusterId: otherCluster, keyArn: otherKey } },
    });
    await seal(second, '--region', region);
    const after = await pins.read('devices');
    expect(after?.pins[otherRegion]?.seal?.userName).toBe('user_1');
    expect(await unsealed()).toBe(second);
  });

  it("takes another cluster in the stage's own Region for no copy", async () => {
    const { clusterId, trustAnchorCertificate } = (await stub.admin('clusters', {})) as Record<string, string>;
    const { CustomKeyStoreId: storeId = '' } = await stub.kms.send(
      new CreateCustomKeyStoreCommand({
        CustomKeyStoreName: 'another',
        CloudHsmClusterId: clusterId,
        TrustAnchorCertificate: trustAnchorCertificate,
        KeyStorePassword: 'password',
      }),
    );
    await stub.kms.send(new ConnectCustomKeyStoreCommand({ CustomKeyStoreId: storeId }));
    await stub.admin('custom-key-store', { customKeyStoreId: storeId, connectionState: 'CONNECTED' });
    const { KeyMetadata: made } = await stub.kms.send(
      new CreateKeyCommand({ Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: storeId }),
    );
    const words = ['--key', made?.Arn ?? '', '--cluster', clusterId ?? ''];
    expect(await refusal(seal(first, ...words))).toContain(`is in the cluster ${clusterId}`);

    // After a restore it is the issuer's own, for all of its Regions at once.
    await seal(first, ...key(), '--key', otherKey, '--cluster', otherCluster);
    const restored = ['--key', made?.Arn ?? '', '--restored-as', clusterId ?? ''];
    expect(await refusal(seal(first, ...restored))).toContain(
      `The PINs of ${otherRegion} are sealed for ${stub.clusterId}`,
    );
    const stranger = ['--restored-as', 'cluster-stranger', '--key', otherKey, '--cluster', otherCluster];
    expect(await refusal(seal(first, '--key', made?.Arn ?? '', ...stranger))).toContain(
      'the PIN is one of cluster-stranger',
    );
    await seal(first, ...restored, '--key', otherKey, '--cluster', otherCluster);
    expect((await new Issuers(store.client, tables.issuers).read('devices'))?.clusterId).toBe(clusterId);
    expect(await unsealed()).toBe(first);
    // KMS may tell the cluster of before of a key whose key store has moved.
    await seal(first, '--key', made?.Arn ?? '', ...stranger);
    expect(await unsealed()).toBe(first);
  });

  it('says that a PIN that was refused is to be tried', async () => {
    const breakers = new Breakers(store.client, tables.issuers);
    await breakers.hold(await breakers.read('devices'), { reason: 'SIGNER_PIN_REFUSED', detail: 'x' }, now);
    expect((await seal(first, ...key())).json).toMatchObject({
      notes: expect.arrayContaining([expect.stringContaining('mintmark queue resume --issuer devices')]),
    });
  });

  describe('refuses, and writes nothing', () => {
    let symmetricInKms: string;
    let signing: string;
    beforeAll(async () => {
      const arn = async (input: CreateKeyCommandInput) =>
        (await stub.kms.send(new CreateKeyCommand(input))).KeyMetadata?.Arn ?? '';
      symmetricInKms = await arn({});
      signing = await arn({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
    });

    const cases: readonly (readonly [string, () => Promise<CommandEnded>, string])[] = [
      ['neither issuer nor canary', () => run(first, ['seal', '--yes', ...key()]), 'It is not said whose PIN it is.'],
      [
        'both',
        () => run(first, ['seal', '--issuer', 'devices', '--canary', '--yes']),
        'It is not said whose PIN it is.',
      ],
      [
        'an issuer that is not there',
        () => run(first, ['seal', '--issuer', 'x', '--yes', ...key()]),
        'There is no issuer x.',
      ],
      ['no key', () => seal(first), 'It is not said which key seals it.'],
      ['a Region without a key', () => seal(first, '--region', region), 'is not written down'],
      ['an alias', () => seal(first, '--key', `arn:aws:kms:${region}:111122223333:alias/x`), 'It is the ARN of a key'],
      ['two keys of a Region', () => seal(first, ...key(), '--key', symmetricInKms), 'Two keys are of the Region'],
      [
        'a key that KMS holds',
        () => seal(first, '--key', symmetricInKms),
        'is in no custom key store of a CloudHSM cluster (its Origin is AWS_KMS)',
      ],
      ['a key that signs', () => seal(first, '--key', signing), 'is in no custom key store'],
      [
        'a key that is not there',
        () => seal(first, '--key', `arn:aws:kms:${region}:111122223333:key/00000000-0000-0000-0000-000000000000`),
        '(NotFoundException)',
      ],
      ['no PIN', () => seal('', ...key()), 'there is no colon in it'],
      ['a PIN of two lines', () => seal(`${first}\n\n`, ...key()), 'no printable ASCII'],
      ['a password that is too short', () => seal('user_1:short', ...key()), '8 to 32 characters'],
      ['a whole file', () => seal(`u:${'recognisable'.repeat(1_000)}`, ...key()), '8 to 32 characters'],
      ['nobody to ask', () => run(first, ['seal', '--issuer', 'devices', ...key()]), 'nobody can be asked'],
      [
        'shares without a copy',
        () => seal(first, ...key(), '--shares', '3'),
        '--shares and --threshold go with --break-glass.',
      ],
      [
        'a copy for one',
        () => seal(first, ...key(), '--break-glass', 'x', '--shares', '3', '--threshold', '1'),
        'each share would be the key',
      ],
      [
        'more than there are',
        () => seal(first, ...key(), '--break-glass', 'x', '--shares', '3', '--threshold', '4'),
        '3 holders never are 4.',
      ],
    ];
    it.each(cases)('%s', async (_, running, sentence) => {
      const said = await refusal(running());
      expect(said).toContain(sentence);
      expect(said).not.toContain('recognisable');
      expect((await pins.read('devices'))?.pins).toEqual({});
    });

    it('a key whose store is not connected', async () => {
      await stub.admin('custom-key-store', { connectionState: 'DISCONNECTED' });
      const said = await refusal(seal(first, ...key()));
      await stub.admin('custom-key-store', { connectionState: 'CONNECTED' });
      expect(said).toContain('is Unavailable: its custom key store is not CONNECTED');
    });

    it('what KMS refuses when it comes to it', async () => {
      await stub.admin('faults', { faults: [{ operation: 'TrentService.Encrypt', code: 'KMSInvalidStateException' }] });
      expect(await refusal(seal(first, ...key()))).toContain('(KMSInvalidStateException)');
      expect((await pins.read('devices'))?.pins).toEqual({});
    });

    it('an issuer whose key is in KMS', async () => {
      const signerUri = 'awskms:key-id=12345678-1234-1234-1234-123456789012';
      await new Issuers(store.client, tables.issuers).add({ ...issuer, issuerId: 'kms', signerUri, sealedPins: {} });
      expect(await refusal(run(first, ['seal', '--issuer', 'kms', '--yes', ...key()]))).toContain(
        'nobody logs in for it',
      );
    });
  });

  it('only says what it would do, without a PIN', async () => {
    const ended = await run('', ['seal', '--issuer', 'devices', '--dry-run', ...key()]);
    expect(ended.json).toMatchObject({ change: 'planned', keys: [{ region, keyArn: stub.sealingKeyArn }] });
    expect((await pins.read('devices'))?.pins).toEqual({});
  });

  const interludes: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['this command', () => seal(second, ...key())],
    [
      'hand, in this Region',
      () =>
        store.client.send(
          new UpdateItemCommand({
            TableName: tables.issuers,
            Key: { issuerId: { S: 'devices' } },
            UpdateExpression: 'SET sealedPins.#region = :sealed',
            ExpressionAttributeNames: { '#region': region },
            ExpressionAttributeValues: { ':sealed': { B: Uint8Array.of(7) } },
          }),
        ),
    ],
    [
      'hand, in another one',
      () =>
        store.client.send(
          new UpdateItemCommand({
            TableName: tables.issuers,
            Key: { issuerId: { S: 'devices' } },
            UpdateExpression: 'SET sealedPins.#region = :sealed',
            ExpressionAttributeNames: { '#region': otherRegion },
            ExpressionAttributeValues: { ':sealed': { B: Uint8Array.of(7) } },
          }),
        ),
    ],
    [
      'who restored the cluster',
      () =>
        store.client.send(
          new UpdateItemCommand({
            TableName: tables.issuers,
            Key: { issuerId: { S: 'devices' } },
            UpdateExpression: 'SET clusterId = :clusterId',
            ExpressionAttributeValues: { ':clusterId': { S: 'cluster-another' } },
          }),
        ),
    ],
  ];
  it.each(interludes)(
    'replaces nothing that was changed meanwhile by %s, and leaves no copy of it',
    async (_, change) => {
      await seal(first, ...key());
      const folder = join(temporaryFolder('pin-seal'), 'glass');
      const other = wrapClient(store.newClient());
      other.before((command) => command instanceof UpdateItemCommand, change);
      const before = await pins.read('devices');
      const glass = ['--break-glass', folder, '--shares', '3', '--threshold', '2'];
      const words = ['seal', '--issuer', 'devices', '--yes', '--region', region, ...glass];
      expect(await refusal(run('user_3:recognisable-C3', words, { on: other }))).toContain('have changed since');
      const after = await pins.read('devices');
      expect(after).not.toEqual(before);
      expect(after?.pins[region]?.seal?.userName).not.toBe('user_3');
      expect(readdirSync(folder)).toEqual([]);
    },
  );

  it('knows its own write where the reply was lost, and the client said it again', async () => {
    const folder = temporaryFolder('pin-seal');
    const other = wrapClient(store.newClient());
    other.before(
      (command) => command instanceof UpdateItemCommand,
      () => store.client.send(other.commands.at(-1) as UpdateItemCommand),
    );
    const glass = ['--break-glass', folder, '--shares', '3', '--threshold', '2'];
    const words = ['seal', '--issuer', 'devices', '--yes', ...key(), ...glass];
    expect(await run(first, words, { on: other })).toMatchObject({ exitCode: 0, json: { change: 'sealed' } });
    expect(readdirSync(folder)).toHaveLength(4);
    expect(await unsealed()).toBe(first);
  });

  it('says nothing of an envelope that was put in the place of its own by hand', async () => {
    await seal(first, ...key());
    const byHand = interludes[1];
    await byHand?.[1]();
    expect((await pins.read('devices'))?.pins[region]).toEqual({ envelope: Uint8Array.of(7) });
  });

  it('makes a break-glass copy of what it seals, from which that can be sealed again', async () => {
    const folder = temporaryFolder('pin-seal');
    const glass = ['--break-glass', folder, '--shares', '3', '--threshold', '2'];
    const ended = await seal(first, ...key(), ...glass);
    expectSilent(ended);
    const { breakGlass } = ended.json as { breakGlass: { copy: string; shares: string[]; fingerprint: string } };
    const [, two = '', three = ''] = breakGlass.shares;
    const recovered = await run('', ['recover', two, breakGlass.copy, three]);
    expectSilent(recovered);
    expect(recovered).toMatchObject({
      exitCode: 0,
      json: {
        isOpened: true,
        userName: 'user_1',
        issuer: 'devices',
        stage: 'test',
        clusterId: stub.clusterId,
        fingerprint: breakGlass.fingerprint,
      },
    });
    expect(await refusal(run('', ['recover', breakGlass.copy, two]))).toContain('It takes 2 shares, and there is 1.');
    expect(await refusal(run('', ['recover', join(folder, 'none.txt')]))).toContain('cannot be read (ENOENT)');
    for (const name of readdirSync(folder))
      expect(readFileSync(join(folder, name), 'utf8')).not.toContain('recognisable');
  });
});

describe('pin seal --canary', () => {
  const canary = () => ({
    clusterId: stub.clusterId,
    customKeyStoreId: stub.customKeyStoreId,
    ciphertext: Uint8Array.of(1),
    signerUri: 'pkcs11:object=canary;type=private',
    publicKey: Uint8Array.of(2),
  });
  const sealCanary = (pin: string, ...more: readonly string[]) => run(pin, ['seal', '--canary', '--yes', ...more]);

  it('puts it into the row of the Region, which is whole from then on', async () => {
    await writeCanary(store.client, tables.issuers, region, canary());
    await expect(findCanary(store.client, tables.issuers, region)).rejects.toThrow('mintmark pin seal --canary');
    expect((await run('', ['status'])).exitCode).toBe(1);
    const ended = await sealCanary('canary_user:recognisable', ...key());
    expectSilent(ended);
    expect(ended.json).toMatchObject({ change: 'sealed', canary: region, userName: 'canary_user' });
    const row = await findCanary(store.client, tables.issuers, region);
    expect(row).toMatchObject(canary());
    const purpose = canaryPinPurpose(stub.clusterId, 'test');
    expect(Buffer.from(await unsealPin(stub.kms, row.sealedPin, purpose)).toString()).toBe('canary_user:recognisable');
    // The key of before is known.
    await sealCanary('canary_user:recognisable-2');
  });

  it('refuses a Region without a canary, and the key of another cluster', async () => {
    expect(await refusal(sealCanary(first, ...key()))).toContain(`There is no canary of the Region ${region}.`);
    await writeCanary(store.client, tables.issuers, otherRegion, canary());
    expect(await refusal(sealCanary(first, '--key', otherKey))).toContain(`is in the cluster ${otherCluster}`);
    expect(await refusal(sealCanary(first, '--key', otherKey, ...key()))).toContain('several Regions');
  });

  it('knows its own write where the reply was lost, and the client said it again', async () => {
    await writeCanary(store.client, tables.issuers, region, canary());
    const other = wrapClient(store.newClient());
    other.before(
      (command) => command instanceof UpdateItemCommand,
      () => store.client.send(other.commands.at(-1) as UpdateItemCommand),
    );
    const words = ['seal', '--canary', '--yes', ...key()];
    expect(await run(first, words, { on: other })).toMatchObject({ exitCode: 0, json: { change: 'sealed' } });
  });

  it('replaces none that was made anew meanwhile', async () => {
    await writeCanary(store.client, tables.issuers, region, { ...canary(), sealedPin: Uint8Array.of(3) });
    const other = wrapClient(store.newClient());
    const anew = { ...canary(), sealedPin: Uint8Array.of(4) };
    other.before(
      (command) => command instanceof UpdateItemCommand,
      () => writeCanary(store.client, tables.issuers, region, anew),
    );
    const words = ['seal', '--canary', '--yes', ...key()];
    expect(await refusal(run(first, words, { on: other }))).toContain('have changed since');
    expect(await findCanary(store.client, tables.issuers, region)).toEqual(anew);
  });
});

describe('pin status', () => {
  it('says whose PIN is where, and where one is missing', async () => {
    await seal(first, ...key(), '--key', otherKey, '--cluster', otherCluster);
    const others = new Issuers(store.client, tables.issuers);
    const inHsm = { ...issuer, clusterId: stub.clusterId };
    await others.add({ ...inHsm, issuerId: 'by-hand', sealedPins: { [region]: Uint8Array.of(9) } });
    await others.add({ ...inHsm, issuerId: 'old', state: 'retired', sealedPins: {} });
    await others.add({ ...issuer, issuerId: 'kms', signerUri: 'awskms:key-id=x', sealedPins: {} });
    const { exitCode, json, lines } = await run('', ['status']);
    expect(exitCode).toBe(1);
    expect(json).toMatchObject({
      region,
      issuers: [
        { issuerId: 'by-hand', regions: [{ region, userName: null, sealedAt: null }], missing: [otherRegion] },
        { issuerId: 'devices', regions: [{ userName: 'user_1' }, { userName: 'user_1' }], missing: [], rotation: null },
        { issuerId: 'old', regions: [], missing: [] },
      ],
      canaries: [],
    });
    expect(lines.join('\n')).toMatch(new RegExp(`by-hand +${region} +not written down`));
    expect(lines.join('\n')).toMatch(new RegExp(`by-hand +${otherRegion} +none is sealed`));
  });

  it('is well where nothing is missing', async () => {
    await seal(first, ...key());
    expect((await run('', ['status'])).exitCode).toBe(0);
  });
});

describe('pin rotate', () => {
  const rotate = (...more: readonly string[]) => ['rotate', '--issuer', 'devices', ...more];
  const begin = (pin = second, ...more: readonly string[]) => run(pin, rotate('--yes', ...more));
  const look = (clients: Partial<Clients>, ...more: readonly string[]) => run('', rotate(...more), { clients });

  beforeEach(async () => {
    await seal(first, ...key());
    now += minute;
  });

  it('takes the other user in, is proved by signatures after a deployment, and is then done', async () => {
    const folder = temporaryFolder('pin-rotate');
    const begun = await begin(second, '--break-glass', folder, '--shares', '3', '--threshold', '2');
    expectSilent(begun);
    expect(begun).toMatchObject({
      exitCode: 0,
      json: {
        change: 'begun',
        rotation: { fromUser: 'user_1', toUser: 'user_2' },
        breakGlass: { shares: [{}, {}, {}].map(() => expect.any(String)) },
      },
    });
    const told = begun.notes.join('\n');
    expect(told).toContain(
      'key share --filter attr.label="devices" attr.class=private-key --username user_2 --role crypto-user',
    );
    expect(told).toContain('user change-password --username user_2 --role crypto-user');
    expect(await unsealed()).toBe(second);
    expect((await run('', ['status'])).exitCode).toBe(1);
    expect(await refusal(seal(first))).toContain('is being changed from user_1 to user_2');

    now += 60 * minute;
    const early = await look(deployed(start, 5));
    expect(early).toMatchObject({ exitCode: 1, json: { isProved: false, change: 'none' } });
    expect(early.lines.join('\n')).toContain('mintmark-test-issue was last updated 2026-11-22T12:00:00Z');
    expect(await look(deployed(start + 10 * minute, 0))).toMatchObject({ exitCode: 1 });
    expect(await look(deployed(start + 10 * minute, 0), '--done')).toMatchObject({ exitCode: 1 });
    expect((await pins.read('devices'))?.rotation).toBeDefined();

    const proved = await look(deployed(start + 10 * minute, 4));
    expect(proved).toMatchObject({ exitCode: 0, json: { isProved: true, missing: [] } });
    expect(proved.lines.join('\n')).toContain('user change-password --username user_1 --role crypto-user');
    const done = await look(deployed(start + 10 * minute, 4), '--done');
    expect(done).toMatchObject({ exitCode: 0, json: { change: 'done', isProved: true } });
    expect(await pins.read('devices')).toMatchObject({ pins: { [region]: { seal: { userName: 'user_2' } } } });
    expect(await pins.read('devices')).not.toHaveProperty('rotation');
    expect(await unsealed()).toBe(second);
    expect((await run('', ['status'])).exitCode).toBe(0);
    // And in turn.
    expect(await begin(first)).toMatchObject({ json: { rotation: { fromUser: 'user_2', toUser: 'user_1' } } });
  });

  it('knows the write that ended it where the reply was lost', async () => {
    await begin();
    const other = wrapClient(store.newClient());
    other.before(
      (command) => command instanceof UpdateItemCommand,
      () => store.client.send(other.commands.at(-1) as UpdateItemCommand),
    );
    const words = rotate('--done', '--force');
    expect(await run('', words, { on: other, clients: deployed(start, 0) })).toMatchObject({
      json: { change: 'done' },
    });
    expect(await pins.read('devices')).not.toHaveProperty('rotation');
  });

  it('goes back without knowing the PIN', async () => {
    const before = await pins.read('devices');
    await begin();
    const back = await look({}, '--back');
    expect(back).toMatchObject({ exitCode: 0, json: { change: 'back' } });
    const after = await pins.read('devices');
    expect(after?.pins).toEqual(before?.pins);
    expect(after?.rotation).toBeUndefined();
    expect(await unsealed()).toBe(first);
  });

  it('can be ended without proof, and says what was passed over', async () => {
    await begin();
    const done = await look(deployed(start, 0), '--done', '--force');
    expect(done).toMatchObject({ exitCode: 0, json: { change: 'done', isProved: false } });
    expect(done.lines.join('\n')).toContain('Passed over: mintmark-test-issue was last updated');
  });

  it('says that the new PIN was refused, and names the way back', async () => {
    await begin();
    const breakers = new Breakers(store.client, tables.issuers);
    await breakers.hold(
      await breakers.read('devices'),
      { reason: 'SIGNER_PIN_REFUSED', detail: 'CKR_PIN_INCORRECT' },
      now,
    );
    now += 60 * minute;
    const { exitCode, lines } = await look(deployed(start + 10 * minute, 4));
    expect(exitCode).toBe(1);
    expect(lines.join('\n')).toContain('A PIN was refused (CKR_PIN_INCORRECT)');
    expect((await look({}, '--back')).lines.join('\n')).toContain('mintmark queue resume --issuer devices');
  });

  it('knows who else signs as the old user', async () => {
    const others = new Issuers(store.client, tables.issuers);
    await others.add({ ...issuer, issuerId: 'gateways', clusterId: stub.clusterId, sealedPins: {} });
    await run('User_1:recognisable-A1', ['seal', '--issuer', 'gateways', '--yes', ...key()]);
    await begin();
    now += 60 * minute;
    const { lines } = await look(deployed(start + 10 * minute, 4), '--done');
    expect(lines.join('\n')).toContain('user_1 is the crypto user of gateways, too');
    expect(lines.join('\n')).not.toContain('change-password');
  });

  it('begins where the user of before was not written down, when told', async () => {
    const issuers = new Issuers(store.client, tables.issuers);
    const inHsm = { ...issuer, clusterId: stub.clusterId, sealedPins: { [region]: Uint8Array.of(9) } };
    await issuers.add({ ...inHsm, issuerId: 'by-hand' });
    const words = ['rotate', '--issuer', 'by-hand', '--yes', ...key()];
    expect(await refusal(run(second, words))).toContain('Who signs now is not written down');
    await run(second, [...words, '--from-user', 'user_1']);
    const { rotation } = (await pins.read('by-hand')) ?? {};
    expect(rotation).toMatchObject({ fromUser: 'user_1', previous: { [region]: { envelope: Uint8Array.of(9) } } });
  });

  const refused: readonly (readonly [string, () => Promise<CommandEnded>, string])[] = [
    ['the same user', () => begin(first), 'user_1 is the crypto user who signs now.'],
    ['the same user in capitals', () => begin('USER_1:another-password'), 'USER_1 is the crypto user who signs now.'],
    ['--done without a rotation', () => look({}, '--done'), 'No rotation of devices is under way.'],
    ['--back without a rotation', () => look({}, '--back'), 'No rotation of devices is under way.'],
    ['--done and --back', () => look({}, '--done', '--back'), 'exclude each other'],
    ['--force alone', () => look({}, '--force'), '--force goes with --done.'],
    [
      'another user of before than it was',
      () => begin(second, '--from-user', 'user_9'),
      'user_1 signs now, not user_9.',
    ],
    ['a name that is none', () => begin(second, '--from-user', 'a-b'), '--from-user is no name'],
    [
      'a Region that is new',
      () => begin(second, '--key', otherKey, '--cluster', otherCluster),
      `No PIN is sealed in ${otherRegion} yet.`,
    ],
    ['nobody to ask', () => run(second, rotate()), 'nobody can be asked'],
  ];
  it.each(refused)('refuses %s, and changes nothing', async (_, running, sentence) => {
    const before = await pins.read('devices');
    expect(await refusal(running())).toContain(sentence);
    expect(await pins.read('devices')).toEqual(before);
  });

  it('rotates every Region at once', async () => {
    await seal(first, ...key(), '--key', otherKey, '--cluster', otherCluster);
    expect(await refusal(begin(second))).toContain(`is in the cluster ${otherCluster}`);
    await begin(second, '--cluster', otherCluster);
    const { pins: found, rotation } = (await pins.read('devices')) ?? {};
    expect(Object.values(found ?? {}).map(({ seal: made }) => made?.userName)).toEqual(['user_2', 'user_2']);
    expect(Object.keys(rotation?.previous ?? {}).toSorted()).toEqual([otherRegion, region].toSorted());
  });
});

it('none of it makes a row', async () => {
  const sent = wrapClient(store.newClient());
  await run(first, ['seal', '--issuer', 'devices', '--yes', ...key()], { on: sent });
  expect(sent.commands.filter((command) => command instanceof PutItemCommand)).toEqual([]);
});
