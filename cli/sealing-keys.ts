import { type Command, InvalidArgumentError } from 'commander';
import { MintmarkError } from '../shared/errors.ts';
import type { SealedPin } from '../shared/ledger/index.ts';
import {
  describeSealingKey,
  type PinPurpose,
  regionOfSealingKey,
  type SealingKey,
  sealPin,
} from '../shared/signer/index.ts';
import { UsageError } from './errors.ts';
import type { Session } from './session.ts';

/** Which keys a PIN is to be sealed with. */
export interface SealingKeyOptions {
  readonly key?: readonly string[];
  readonly region?: readonly string[];
  readonly cluster?: readonly string[];
}

export const declareSealingKeys = (command: Command): Command =>
  command
    .option('--key <arn>', 'the sealing key of a Region, by its ARN; may be repeated', collectedArns)
    .option(
      '--cluster <id>',
      "another Region's cluster, which is a copy of the issuer's and has an id of its own; may be repeated",
      collected,
    );

export const declareRegions = (command: Command): Command =>
  command.option('--region <region>', 'with the key that its PIN was sealed with before; may be repeated', collected);

const collected = (text: string, earlier: readonly string[] = []): string[] => [...new Set([...earlier, text])];

function collectedArns(text: string, earlier: readonly string[] = []): string[] {
  if (regionOfSealingKey(text) === undefined) {
    throw new InvalidArgumentError('It is the ARN of a key: arn:aws:kms:<region>:<account>:key/<id>, and no alias.');
  }
  return collected(text, earlier);
}

/**
 * The keys that are meant, one for each Region: those that are named, and of the Regions that are named, or of all of them
 * where nothing is, those that were used before.
 * @throws UsageError
 */
export function sealingKeysOf(
  { key = [], region = [] }: SealingKeyOptions,
  pins: Readonly<Record<string, SealedPin>>,
): string[] {
  const named = new Map<string, string>();
  for (const arn of key) {
    const its = regionOfSealingKey(arn) ?? '';
    if (named.has(its)) throw new UsageError(`Two keys are of the Region ${its}.`, 'Name one key of each Region.');
    named.set(its, arn);
  }
  const wanted = key.length === 0 && region.length === 0 ? Object.keys(pins).toSorted() : region;
  for (const one of wanted) {
    const known = named.get(one) ?? pins[one]?.seal?.keyArn;
    if (known === undefined) throw unknownKey(one);
    named.set(one, known);
  }
  if (named.size === 0) throw new UsageError('It is not said which key seals it.', sealingKeyCure);
  return [...named.values()];
}

const sealingKeyCure = "Name the stage's sealingKeyArn with --key.";

const unknownKey = (region: string): UsageError =>
  new UsageError(`With which key the PIN was sealed in ${region} is not written down.`, 'Name it with --key.');

/** @throws UsageError for a key that PINs are not to be sealed with */
export async function describeSealingKeys(session: Session, arns: readonly string[]): Promise<SealingKey[]> {
  return Promise.all(
    arns.map(async (arn) => {
      const kms = await session.clients.kms(regionOfSealingKey(arn) ?? '');
      return explaining(arn, () => describeSealingKey(kms, arn));
    }),
  );
}

/** The clusters that a sealing key may be in. */
export interface OwnClusters {
  readonly clusterId: string;
  /** Others that are the same one: copies in other Regions, the one that it was restored from. */
  readonly also: readonly string[];
  /** --cluster may name one. */
  readonly mayBeCopy: boolean;
}

/**
 * Who unseals names the issuer's cluster, and in the stage's own Region that is the cluster that holds the sealing key, too.
 * @throws UsageError for the key of another cluster
 */
export function requireOwnCluster(key: SealingKey, { clusterId, also, mayBeCopy }: OwnClusters): void {
  if (key.clusterId === clusterId || also.includes(key.clusterId)) return;
  const orCopy = mayBeCopy ? ` Where ${key.clusterId} is a copy of it: --cluster ${key.clusterId}.` : '';
  throw new UsageError(
    `The key ${key.arn} is in the cluster ${key.clusterId}, and the PIN is one of ${clusterId}.`,
    `Name a key of a custom key store of ${clusterId}.${orCopy}`,
  );
}

/** @throws UsageError, and what the KMS client throws */
export async function sealWith(
  session: Session,
  key: SealingKey,
  pin: Uint8Array,
  purpose: PinPurpose,
): Promise<Uint8Array> {
  const kms = await session.clients.kms(key.region);
  return explaining(key.arn, () => sealPin(kms, key.arn, pin, purpose));
}

/** KMS's errors that the command line does not know of (explain.ts), by what to do about them (KMS API reference, Encrypt). */
const cures: Readonly<Record<string, string>> = {
  NotFoundException: 'Check the ARN, its Region and its account.',
  DisabledException: 'Enable the key, then do the same again.',
  KeyUnavailableException: 'Try again in a minute.',
  KMSInvalidStateException: 'Connect the custom key store (docs/runbook.md#key-store-state), then do the same again.',
  DependencyTimeoutException: 'Look at the cluster behind the key store: mintmark health.',
};

async function explaining<Made>(arn: string, make: () => Promise<Made>): Promise<Made> {
  try {
    return await make();
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    if (cause instanceof MintmarkError && cause.code === 'CONFIGURATION_INVALID') {
      throw new UsageError(cause.message, sealingKeyCure, { cause });
    }
    const cure = cures[cause.name];
    if (cure === undefined) throw cause;
    throw new UsageError(`KMS does not seal with ${arn} (${cause.name}).`, cure, { cause });
  }
}
