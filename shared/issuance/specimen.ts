import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { objectIdentifier, sequence, setOf, utf8String } from '../asn1/index.ts';
import { assembleCertificate } from './certificate.ts';
import { grantOf } from './grants.ts';
import { lint } from './lint.ts';
import { type GrantedNames, grantNames } from './names.ts';
import type { Profile } from './profile.ts';
import { attributeTypes } from './profile.ts';
import { newSerialNumber, subjectKeyIdentifierOf, type TbsIssuer, tbsTemplate, validityOf } from './tbs.ts';

/** A certificate as a profile makes them, by an issuing CA that there never was. */
export interface Specimen {
  readonly profile: Profile;
  readonly deviceId: string;
  /** Of the key that it is of: `P-256`, `RSA 2048`, `Ed25519`. */
  readonly key: string;
  readonly names: GrantedNames;
  /** What a CSR may ask for besides, in words. */
  readonly onRequest: readonly string[];
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** DER, signed with a key that nobody has any more. */
  readonly certificate: Uint8Array;
}

/**
 * The certificate that a profile makes for a device whose CSR asks for no name, through the very template and lint that
 * issue.
 * @param now milliseconds since the epoch
 * @throws MintmarkError NAME_NOT_ALLOWED where no certificate of this profile can be for this device id, LINT_FAILED
 */
export function specimenOf(
  profile: Profile,
  deviceId: string,
  now: number,
  randomBytes: (count: number) => Uint8Array,
): Specimen {
  const { key, publicKey } = newKeyOf(profile);
  const subjectPublicKeyInfo = publicKey.export({ type: 'spki', format: 'der' });
  const names = grantNames(profile, deviceId, { subject: [], requestedExtensions: [] });
  const { issuer, privateKey } = specimenIssuer(profile, now);
  const variables = {
    serialNumber: newSerialNumber(randomBytes),
    ...validityOf(profile, issuer.certificate, now),
    names,
    subjectPublicKeyInfo,
  };
  const { tbsCertificate } = lint(tbsTemplate(issuer, profile)(variables), issuer, profile, variables);
  const signature = sign('sha256', tbsCertificate, privateKey);
  return {
    profile,
    deviceId,
    key,
    names,
    onRequest: profile.subjectAltName.onRequest.flatMap((template) => grantOf(template, deviceId)?.description ?? []),
    notBefore: variables.notBefore,
    notAfter: variables.notAfter,
    certificate: assembleCertificate(tbsCertificate, signature, issuer.scheme, issuer.certificate.publicKey),
  };
}

/** The first kind of key that the profile allows. */
function newKeyOf({ keys }: Profile): { readonly key: string; readonly publicKey: KeyObject } {
  const [namedCurve] = keys.ec?.curves ?? [];
  if (namedCurve !== undefined) return { key: namedCurve, ...generateKeyPairSync('ec', { namedCurve }) };
  if (keys.ed25519 === true) return { key: 'Ed25519', ...generateKeyPairSync('ed25519') };
  const modulusLength = keys.rsa?.minimumBits ?? 2048;
  return { key: `RSA ${modulusLength}`, ...generateKeyPairSync('rsa', { modulusLength }) };
}

function specimenIssuer(profile: Profile, now: number): { readonly issuer: TbsIssuer; readonly privateKey: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = utf8String('Specimen, not an issuing CA');
  const issuer: TbsIssuer = {
    issuerId: profile.issuer,
    certificate: {
      der: new Uint8Array(),
      subject: sequence(setOf(sequence(objectIdentifier(attributeTypes.commonName), name))),
      subjectKeyIdentifier: subjectKeyIdentifierOf(publicKey.export({ type: 'spki', format: 'der' })),
      publicKey,
      notBefore: now - 2 * 86_400_000,
      notAfter: Number.MAX_SAFE_INTEGER,
    },
    scheme: { algorithm: 'ecdsa', hash: 'sha256' },
    baseUrl: 'http://base-url-of-the-issuer.invalid',
    crlShardCount: 1,
  };
  return { issuer, privateKey };
}
