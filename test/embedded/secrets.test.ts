import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DynamoDBClient, ListTablesCommand, paginateScan } from '@aws-sdk/client-dynamodb';
import { KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectCache } from '../../local/setup/machine.mjs';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { unsealPin } from '../../shared/signer/pin.ts';
import { type StartedProcess, StartFolder } from '../support/embedded-process.ts';

/** The PIN of the issuing CA's crypto user, as whoever may kms:Decrypt reads it. */
async function readPin(dynamoDB: DynamoDBClient, kms: KMSClient): Promise<string> {
  const issuer = await new Issuers(dynamoDB, 'mintmark-local-issuers').read('devices');
  const sealed = Object.values(issuer?.sealedPins ?? {})[0];
  if (issuer?.clusterId === undefined || sealed === undefined) throw new Error('The issuer has no sealed PIN.');
  const purpose = { clusterId: issuer.clusterId, issuerId: issuer.issuerId, stage: 'local' };
  return Buffer.from(await unsealPin(kms, sealed, purpose)).toString('utf8');
}

/** As it is, and as bytes are usually written. */
function formsOf(pin: string): string[] {
  const password = pin.slice(pin.indexOf(':') + 1);
  return [pin, password].flatMap((secret) => {
    const bytes = Buffer.from(secret);
    // Base64 without its last characters, which depend on what comes next.
    return [
      secret,
      bytes.toString('hex'),
      bytes.toString('base64').replace(/..?=*$/, ''),
      bytes.toJSON().data.join(','),
    ];
  });
}

const hasProc = existsSync('/proc/self/environ');
const orNoProc = hasProc ? '' : ' (skipped: this system has no /proc to look into)';
describe.skipIf(!hasProc)(`the PIN of the crypto user${orNoProc}`, () => {
  let folder: StartFolder;
  let started: StartedProcess;
  let clients: { readonly dynamoDB: DynamoDBClient; readonly kms: KMSClient };
  let secrets: readonly string[];

  beforeAll(async () => {
    folder = new StartFolder();
    started = folder.start('--out', join(folder.temporary, 'out'));
    await started.says('Ctrl-C ends it.');
    const variable = (name: string) => new RegExp(`export ${name}=(\\S+)`).exec(started.output)?.[1] ?? '';
    const common = {
      region: variable('AWS_REGION'),
      credentials: { accessKeyId: variable('AWS_ACCESS_KEY_ID'), secretAccessKey: variable('AWS_SECRET_ACCESS_KEY') },
    };
    clients = {
      dynamoDB: new DynamoDBClient({ ...common, endpoint: variable('AWS_ENDPOINT_URL') }),
      kms: new KMSClient({ ...common, endpoint: variable('AWS_ENDPOINT_URL_KMS') }),
    };
    const pin = await readPin(clients.dynamoDB, clients.kms);
    if (!/^crypto_user:.{32}$/.test(pin)) throw new Error('What was unsealed is no PIN of a crypto user.');
    secrets = formsOf(pin);
  });
  afterAll(async () => {
    Object.values(clients ?? {}).forEach((client) => client.destroy());
    await folder?.remove();
  });

  /** Never the texts themselves: a failing test must not be the one that prints the secret. */
  const expectNone = (where: string, text: string) => {
    expect(
      secrets.some((secret) => text.includes(secret)),
      where,
    ).toBe(false);
  };

  it('is in no environment and no command line', () => {
    const processes = folder.processes();
    expect(processes.length).toBeGreaterThanOrEqual(3);
    for (const { pid, commandLine, environment } of processes) {
      expectNone(`environment of ${pid}`, environment);
      expectNone(`command line of ${pid}`, commandLine);
    }
  });

  it('is in no file of the state folder', () => {
    const [state] = folder.states();
    if (state === undefined) throw new Error('There is no state folder.');
    const files = readdirSync(state, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files.map(({ name }) => name)).toContain('softhsm2.conf');
    for (const { parentPath, name } of files) expectNone(name, readFileSync(join(parentPath, name), 'latin1'));
  });

  it('is in no output and no log', () => {
    expectNone('stdout', started.output);
    expectNone('stderr', started.errors);
    const log = readFileSync(join(projectCache, 'functions.log'), 'utf8');
    expect(log).toContain('"message":"issued"');
    expectNone('functions.log', log);
  });

  it('is in no table', async () => {
    const { TableNames: tables = [] } = await clients.dynamoDB.send(new ListTablesCommand({}));
    expect(tables).toContain('mintmark-local-issuers');
    for (const table of tables) {
      for await (const { Items: items } of paginateScan({ client: clients.dynamoDB }, { TableName: table })) {
        const text = JSON.stringify(items, (_, value: unknown) =>
          value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
        );
        expectNone(table, text);
      }
    }
  });
});
