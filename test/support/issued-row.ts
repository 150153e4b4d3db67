import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { assembleCertificate } from '../../shared/issuance/certificate.ts';
import { readIssuerCertificate } from '../../shared/issuance/issuer-certificate.ts';
import type { Profile } from '../../shared/issuance/profile.ts';
import {
  newSerialNumber,
  type TbsIssuer,
  type TbsVariables,
  tbsTemplate,
  validityOf,
} from '../../shared/issuance/tbs.ts';
import type { IssuanceRecord } from '../../shared/ledger/issuance-records.ts';
import { crlShardOf } from '../../shared/ledger/revocations.ts';
import type { IssuingCa } from './issuing-ca.ts';
import { names } from './linted.ts';
import { deviceTls } from './profile.ts';

/** What is another than usual in a certificate, before it is signed. */
export interface IssuedOptions {
  readonly profile?: Profile;
  /** DER; of a new P-256 key otherwise. */
  readonly subjectPublicKeyInfo?: Uint8Array;
  readonly variables?: Partial<TbsVariables>;
  /** Of the key that signs; the CA's otherwise. */
  readonly privateKey?: KeyObject;
}

export const newSubjectPublicKeyInfo = (): Uint8Array =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' });

/** Signs with RSA PKCS#1 v1.5, as is usual for its key. */
const tbsIssuerOf = ({ issuer: { issuerId, certificate, baseUrl, crlShardCount } }: IssuingCa): TbsIssuer => ({
  issuerId,
  certificate: readIssuerCertificate(issuerId, certificate),
  scheme: { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha256' },
  baseUrl,
  crlShardCount,
});

/** A row as issuing leaves it, of a certificate that no lint has seen: by this CA, at this time (ms). */
export function issuedRow(ca: IssuingCa, at: number, options: IssuedOptions = {}): IssuanceRecord {
  const { profile = deviceTls, subjectPublicKeyInfo = newSubjectPublicKeyInfo(), privateKey = ca.privateKey } = options;
  const issuer = tbsIssuerOf(ca);
  const variables: TbsVariables = {
    serialNumber: newSerialNumber(randomBytes),
    ...validityOf(profile, issuer.certificate, at),
    names,
    subjectPublicKeyInfo,
    ...options.variables,
  };
  const tbsCertificate = tbsTemplate(issuer, profile)(variables);
  const signature = sign('sha256', tbsCertificate, privateKey);
  const serialNumber = Buffer.from(variables.serialNumber).toString('hex');
  return {
    deviceId: 'device-1',
    requestId: `request-${serialNumber}`,
    state: 'issued',
    profile: profile.name,
    profileHash: profile.hash,
    issuerId: issuer.issuerId,
    serialNumber,
    crlShard: crlShardOf(serialNumber, issuer.crlShardCount),
    certificate: assembleCertificate(tbsCertificate, signature, issuer.scheme, privateKey),
    notBefore: variables.notBefore,
    notAfter: variables.notAfter,
    issuedAt: at,
    ignored: [],
    abandonedSerialNumbers: [],
    conflicts: 0,
  };
}
