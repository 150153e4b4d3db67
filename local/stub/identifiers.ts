/** Identifiers in the forms that AWS's service models give (patterns in botocore's service-2.json). */

export type RandomBytes = (length: number) => Buffer;

const base32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** `cluster-`, `hsm-` and `backup-` ids: 11 of [2-7a-z]. */
export function cloudHsmId(prefix: 'cluster' | 'hsm' | 'backup', randomBytes: RandomBytes): string {
  let suffix = '';
  for (const byte of randomBytes(11)) suffix += base32.charAt(byte & 31);
  return `${prefix}-${suffix}`;
}

/** EC2's `vpc-`, `subnet-`, `eni-` and `sg-` ids and KMS's `cks-`: 17 hexadecimal digits. */
export function hexId(prefix: 'vpc' | 'subnet' | 'eni' | 'sg' | 'cks', randomBytes: RandomBytes): string {
  return `${prefix}-${randomBytes(9).toString('hex').slice(0, 17)}`;
}

/** A version 4 UUID (RFC 9562): KMS key ids and request ids. */
export function uuid(randomBytes: RandomBytes): string {
  const bytes = Buffer.from(randomBytes(16));
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

interface Place {
  readonly region: string;
  readonly accountId: string;
}

export function kmsArn(place: Place, resource: string): string {
  return `arn:aws:kms:${place.region}:${place.accountId}:${resource}`;
}

export function backupArn(place: Place, backupId: string): string {
  return `arn:aws:cloudhsm:${place.region}:${place.accountId}:backup/${backupId}`;
}
