import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as z from 'zod';
import { readInstalled } from '../setup/installed.ts';
import { endWithParent } from '../setup/parent-watch.ts';
import { type Stub, startStub } from './start.ts';

const usage = `usage: stub [options]        KMS and CloudHSM v2 on 127.0.0.1, over a SoftHSM2 token of its own

  --port PORT                MINTMARK_STUB_PORT               0, which takes a free one
  --directory DIR            MINTMARK_STUB_DIRECTORY          the system's temporary folder; the token goes below it
  --region REGION            AWS_REGION                       us-east-1
  --account-id ID            MINTMARK_STUB_ACCOUNT_ID         000000000000
  --softhsm2-library PATH    MINTMARK_STUB_SOFTHSM2_LIBRARY   the one that set-up found
  --log                      MINTMARK_STUB_LOG=1              a line of JSON on stderr for every request
  --allow-asymmetric-custom-key-store-keys                    custom key stores take signing keys, which AWS's do not
`;

const optionsSchema = z.object({
  port: z.coerce.number().int().min(0).max(65535),
  directory: z.string().min(1),
  region: z.string().regex(/^([a-z]+-){2,3}\d+$/, 'is no AWS Region'),
  accountId: z.string().regex(/^\d{12}$/, 'is not 12 digits'),
  library: z.string().min(1).optional(),
  log: z.boolean(),
  allowAsymmetricKeysInCustomKeyStores: z.boolean(),
});
type Options = z.output<typeof optionsSchema>;

/** A command line that cannot be followed; exit 2. */
class UsageError extends Error {}

function readOptions(args: readonly string[], environment: NodeJS.ProcessEnv): Options {
  const { values } = parseArguments(args);
  const parsed = optionsSchema.safeParse({
    port: values.port ?? environment.MINTMARK_STUB_PORT ?? '0',
    directory: values.directory ?? environment.MINTMARK_STUB_DIRECTORY ?? tmpdir(),
    region: values.region ?? environment.AWS_REGION ?? 'us-east-1',
    accountId: values['account-id'] ?? environment.MINTMARK_STUB_ACCOUNT_ID ?? '000000000000',
    library: values['softhsm2-library'] ?? environment.MINTMARK_STUB_SOFTHSM2_LIBRARY,
    log: values.log ?? environment.MINTMARK_STUB_LOG === '1',
    allowAsymmetricKeysInCustomKeyStores: values['allow-asymmetric-custom-key-store-keys'] ?? false,
  });
  if (!parsed.success) throw new UsageError(z.prettifyError(parsed.error));
  return parsed.data;
}

function parseArguments(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        port: { type: 'string' },
        directory: { type: 'string' },
        region: { type: 'string' },
        'account-id': { type: 'string' },
        'softhsm2-library': { type: 'string' },
        log: { type: 'boolean' },
        'allow-asymmetric-custom-key-store-keys': { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), process.env);
  mkdirSync(options.directory, { recursive: true });
  const directory = mkdtempSync(join(options.directory, 'stub-'));
  // Synchronous, so that it happens on every way out, also while the token is being made.
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const starting = startStub({
    token: { library: options.library ?? readInstalled().softhsm2Library, directory },
    port: options.port,
    region: options.region,
    accountId: options.accountId,
    now: Date.now,
    randomBytes,
    allowAsymmetricKeysInCustomKeyStores: options.allowAsymmetricKeysInCustomKeyStores,
    log: (entry) => {
      if (options.log || entry.defect !== undefined) process.stderr.write(`${JSON.stringify(entry)}\n`);
    },
  });
  stopWithProcess(starting);
  announce(await starting);
}

function announce(stub: Stub): void {
  const { endpoint, clusterId, customKeyStoreId, sealingKeyId, sealingKeyArn } = stub;
  if (process.send) {
    process.send({ type: 'ready', endpoint, clusterId, customKeyStoreId, sealingKeyId, sealingKeyArn });
  } else {
    process.stdout.write(`${endpoint}\n`);
  }
}

function stopWithProcess(starting: Promise<Stub>): void {
  const stop = async (): Promise<void> => (await starting).stop();
  const stopAndExit = (): void => {
    stop().then(() => process.exit(0), fail);
  };
  process.once('SIGTERM', stopAndExit);
  process.once('SIGINT', stopAndExit);
  endWithParent(stop);
}

function fail(error: unknown): never {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`stub: ${message}\n${error instanceof UsageError ? `\n${usage}` : ''}`);
  process.exit(error instanceof UsageError ? 2 : 1);
}

main().catch(fail);
