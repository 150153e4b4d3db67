import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readIssuerCertificate } from '../../shared/issuance/issuer-certificate.ts';
import { type LintedTbsCertificate, lint } from '../../shared/issuance/lint.ts';
import type { GrantedNames } from '../../shared/issuance/names.ts';
import {
  newSerialNumber,
  type TbsIssuer,
  type TbsVariables,
  tbsTemplate,
  validityOf,
} from '../../shared/issuance/tbs.ts';
import { makeIssuingCa } from './issuing-ca.ts';
import { deviceTls } from './profile.ts';

export const issuedAt = Date.parse('2026-11-22T12:00:00Z');

const day = 86_400_000;
const ca = makeIssuingCa({ notBefore: new Date(issuedAt - day), notAfter: new Date(issuedAt + 3650 * day) });

export const tbsIssuer: TbsIssuer = {
  issuerId: ca.issuer.issuerId,
  certificate: readIssuerCertificate(ca.issuer.issuerId, ca.issuer.certificate),
  scheme: { algorithm: 'rsa-pss', hash: 'sha256' },
  baseUrl: ca.issuer.baseUrl,
  crlShardCount: ca.issuer.crlShardCount,
};

export const names: GrantedNames = {
  subject: [
    { type: 'organizationName', value: 'Mintmark devices' },
    { type: 'commonName', value: 'device-1' },
  ],
  subjectAltName: [{ kind: 'uniformResourceIdentifier', value: 'urn:dev:org:32473-device-1' }],
  ignored: [],
};

/** What `deviceTls` makes of a new P-256 key. */
export const newVariables = (): TbsVariables => ({
  serialNumber: newSerialNumber(randomBytes),
  ...validityOf(deviceTls, tbsIssuer.certificate, issuedAt),
  names,
  subjectPublicKeyInfo: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
    type: 'spki',
    format: 'der',
  }),
});

/** A TBSCertificate that may be recorded. */
export function newLinted(variables: TbsVariables = newVariables()): LintedTbsCertificate {
  return lint(tbsTemplate(tbsIssuer, deviceTls)(variables), tbsIssuer, deviceTls, variables);
}
