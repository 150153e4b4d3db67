import { type Item, readString, readTimestamp, string, timestamp } from './attributes.ts';

/**
 * What a row of the keys table says of a key. They are two rows and not one so that IAM, whose conditions know partition
 * keys, lets the function that issues write the second and never the first (deploy/roles.yml).
 */
export type KeyFact =
  /** Operators say that others have, or can compute, the private key. */
  | 'compromised'
  /** It is in a device's certificate, of a profile that lets no key be in two devices' at a time. */
  | 'live';

/** Whose a key is. */
export interface KeyClaim {
  readonly deviceId: string;
  /** Of the certificate that ends last. */
  readonly requestId: string;
  /** That certificate's, in milliseconds since the epoch. */
  readonly notAfter: number;
}

/** The partition key, `fact#SHA-256 of SubjectPublicKeyInfo's DER in hex`. */
export const keyOfFact = (fact: KeyFact, spkiSha256: string): Item => ({
  factSpkiSha256: string(`${fact}#${spkiSha256}`),
});

export const factOf = (item: Item): string => readString(item, 'factSpkiSha256');

/** Of a row `compromised`: anything but "cleared" counts, so that a state that this code does not know certifies nothing. */
export const isCompromised = (item: Item): boolean => item.state?.S !== 'cleared';

/** Of a row `live`. */
export const claimItem = ({ deviceId, requestId, notAfter }: KeyClaim): Item => ({
  deviceId: string(deviceId),
  requestId: string(requestId),
  notAfter: timestamp(notAfter),
});

/** @throws MintmarkError INTERNAL for a row that is not as we write it: whose the key is is unknown then, and not nobody's */
export const readClaim = (item: Item): KeyClaim => ({
  deviceId: readString(item, 'deviceId'),
  requestId: readString(item, 'requestId'),
  notAfter: readTimestamp(item, 'notAfter'),
});
