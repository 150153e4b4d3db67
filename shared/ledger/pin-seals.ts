import { createHash } from 'node:crypto';
import { type Item, readString, readTimestamp, string, timestamp } from './attributes.ts';

/** What an envelope does not tell of itself; none of it is secret. */
export interface PinSeal {
  /** The crypto user's. */
  readonly userName: string;
  /** ARN of the KMS key. */
  readonly keyArn: string;
  /** The CloudHSM cluster that holds that key. */
  readonly clusterId: string;
  /** Milliseconds since the epoch. */
  readonly sealedAt: number;
}

/** @param envelope that it is of: should somebody put another one in its place by hand, it says nothing of that */
export const writePinSeal = ({ userName, keyArn, clusterId, sealedAt }: PinSeal, envelope: Uint8Array): Item => ({
  envelopeSha256: string(sha256(envelope)),
  userName: string(userName),
  keyArn: string(keyArn),
  clusterId: string(clusterId),
  sealedAt: timestamp(sealedAt),
});

/**
 * @returns undefined where there is none, or it is of another envelope
 * @throws MintmarkError INTERNAL for one that is not as it is written here
 */
export function readPinSeal(item: Item | undefined, envelope: Uint8Array): PinSeal | undefined {
  if (item === undefined || readString(item, 'envelopeSha256') !== sha256(envelope)) return undefined;
  return {
    userName: readString(item, 'userName'),
    keyArn: readString(item, 'keyArn'),
    clusterId: readString(item, 'clusterId'),
    sealedAt: readTimestamp(item, 'sealedAt'),
  };
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
