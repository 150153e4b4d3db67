import { createHash } from 'node:crypto';
import {
  boolean,
  contextConstructed,
  contextPrimitive,
  DerReader,
  ia5String,
  namedBits,
  nullValue,
  objectIdentifier,
  octetString,
  printableString,
  sequence,
  setOf,
  time,
  unsignedInteger,
  utf8String,
} from '../asn1/index.ts';
import { MintmarkError } from '../errors.ts';
import { crlShardOf } from '../ledger/index.ts';
import { algorithmIdentifier, type SignatureScheme } from '../signer/index.ts';
import { encodeGeneralName } from './granted-name.ts';
import type { IssuerCertificate } from './issuer-certificate.ts';
import type { GrantedNames } from './names.ts';
import { attributeTypes, extendedKeyUsages, keyUsageBits, lifetimeOf, type Profile } from './profile.ts';

/** Everything about an issuing CA that goes into its certificates. */
export interface TbsIssuer {
  readonly issuerId: string;
  readonly certificate: IssuerCertificate;
  readonly scheme: SignatureScheme;
  readonly baseUrl: string;
  readonly crlShardCount: number;
}

/** What varies from one certificate to the next. */
export interface TbsVariables {
  /** 16 bytes, as `newSerialNumber` makes them. */
  readonly serialNumber: Uint8Array;
  /** Milliseconds since the epoch, whole seconds, both inclusive (RFC 5280 section 4.1.2.5). */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly names: GrantedNames;
  /** DER, as it stands in the CSR. */
  readonly subjectPublicKeyInfo: Uint8Array;
}

/** Octets of a serial number: 127 random bits, within RFC 5280's 20 octets without a leading zero. */
const serialNumberBytes = 16;

/**
 * A positive serial number of 16 octets with its top bit clear (RFC 5280 section 4.1.2.2), so that its DER form is
 * 16 octets too, never fewer.
 */
export function newSerialNumber(randomBytes: (count: number) => Uint8Array): Uint8Array {
  for (;;) {
    const bytes = Uint8Array.from(randomBytes(serialNumberBytes));
    bytes[0] = (bytes[0] ?? 0) & 0x7f;
    // A first octet of zero would be dropped by DER's shortest form; one draw in 128 is thrown away for it.
    if (bytes[0] !== 0) return bytes;
  }
}

/** 99991231235959Z: no well-defined expiration date (RFC 5280 section 4.1.2.5). */
export const withoutEnd = Date.UTC(9999, 11, 31, 23, 59, 59);

/**
 * notBefore and notAfter under a profile, in milliseconds: both inclusive, hence the second that is taken off. Not
 * before the issuer's own notBefore: a young issuer's certificates are backdated less. Beyond the issuer's notAfter only
 * where the profile does not clamp; whether it may be is the caller's to look at.
 */
export function validityOf(
  profile: Profile,
  issuer: { readonly notBefore: number; readonly notAfter: number },
  now: number,
): { readonly notBefore: number; readonly notAfter: number } {
  const wholeSecond = Math.floor(now / 1000) * 1000;
  const notBefore = Math.max(wholeSecond - profile.validity.backdateMinutes * 60_000, issuer.notBefore);
  const notAfter = Math.min(notBefore + lifetimeOf(profile.validity) - 1000, withoutEnd);
  const isClamped = profile.validity.beyondIssuer === 'clamp' && notAfter > issuer.notAfter;
  return { notBefore, notAfter: isClamped ? issuer.notAfter : notAfter };
}

/**
 * The TBSCertificate (RFC 5280 section 4.1) of one issuer and profile: what never varies is encoded once, here, and
 * the function that comes back fills in the rest.
 */
export function tbsTemplate(issuer: TbsIssuer, profile: Profile): (variables: TbsVariables) => Uint8Array {
  const version3 = contextConstructed(0, unsignedInteger(Uint8Array.of(2)));
  const signature = algorithmIdentifier(issuer.scheme);
  const basicConstraints = extension('2.5.29.19', true, sequence());
  const keyUsage = extension('2.5.29.15', true, keyUsageOf(profile));
  const extendedKeyUsage = extension('2.5.29.37', false, extendedKeyUsageOf(profile));
  const authorityKeyIdentifier = extension(
    '2.5.29.35',
    false,
    sequence(contextPrimitive(0, issuer.certificate.subjectKeyIdentifier)),
  );
  const fixed = fixedExtensionsOf(issuer, profile).map(({ extnID, critical, extnValue }) =>
    extension(extnID, critical, extnValue),
  );

  return ({ serialNumber, notBefore, notAfter, names, subjectPublicKeyInfo }) => {
    const subjectAltName = subjectAltNameOf(names);
    const shard = crlShardOf(Buffer.from(serialNumber).toString('hex'), issuer.crlShardCount);
    const distributionPoints = isRevocable(profile)
      ? [extension('2.5.29.31', false, crlDistributionPointsOf(issuer, shard))]
      : [];
    const tbsCertificate = sequence(
      version3,
      unsignedInteger(serialNumber),
      signature,
      issuer.certificate.subject,
      sequence(time(notBefore), time(notAfter)),
      subjectOf(names),
      subjectPublicKeyInfo,
      contextConstructed(
        3,
        sequence(
          basicConstraints,
          keyUsage,
          extendedKeyUsage,
          extension('2.5.29.14', false, octetString(subjectKeyIdentifierOf(subjectPublicKeyInfo))),
          authorityKeyIdentifier,
          // Critical where nothing else says whose it is (RFC 5280 section 4.2.1.6).
          extension('2.5.29.17', names.subject.length === 0, subjectAltName),
          ...distributionPoints,
          ...fixed,
        ),
      ),
    );
    refuseTooLong(tbsCertificate.length - subjectAltName.length - subjectPublicKeyInfo.length, issuer, profile);
    return tbsCertificate;
  };
}

/**
 * Bytes of a TBSCertificate that are neither its subjectAltName nor its subjectPublicKeyInfo: what profile and issuer make of
 * it. With longestNames and a key of RSA 8192, all of it has 16 KiB at most: so much is kept of each attempt.
 */
const longestOfProfileAndIssuer = 6_144;

/** @throws MintmarkError CONFIGURATION_INVALID */
function refuseTooLong(length: number, { issuerId }: TbsIssuer, { name }: Profile): void {
  if (length <= longestOfProfileAndIssuer) return;
  throw new MintmarkError(
    'CONFIGURATION_INVALID',
    `What the profile ${name} and the issuer ${issuerId} make of each certificate, without its key and subjectAltName, has ` +
      `${length} bytes; at most ${longestOfProfileAndIssuer}. Extensions, policies and the subject are the profile's, the name and ` +
      "the base URL the issuer's.",
  );
}

export interface FixedExtension {
  readonly extnID: string;
  readonly critical: boolean;
  readonly extnValue: Uint8Array;
}

/** The extensions that some profiles have and others have not, and that are the same in all certificates of one. */
export function fixedExtensionsOf(issuer: TbsIssuer, profile: Profile): readonly FixedExtension[] {
  const { authorityInfoAccess = 'include', certificatePolicies, extensions = [] } = profile;
  return [
    ...(authorityInfoAccess === 'include'
      ? [{ extnID: '1.3.6.1.5.5.7.1.1', critical: false, extnValue: authorityInformationAccessOf(issuer) }]
      : []),
    // RFC 9608 section 2: not critical, and instead of a distribution point.
    ...(isRevocable(profile) ? [] : [{ extnID: '2.5.29.56', critical: false, extnValue: nullValue() }]),
    ...(certificatePolicies === undefined
      ? []
      : [{ extnID: '2.5.29.32', critical: false, extnValue: certificatePoliciesOf(certificatePolicies) }]),
    ...extensions.map(({ extnID, critical, extnValue }) => ({
      extnID,
      critical,
      extnValue: Buffer.from(extnValue, 'hex'),
    })),
  ];
}

export const isRevocable = (profile: Profile): boolean => (profile.revocation ?? 'crl') === 'crl';

/** CertificatePolicies, with a CPS pointer where there is one (RFC 5280 section 4.2.1.4). */
const certificatePoliciesOf = (policies: Profile['certificatePolicies'] & object): Uint8Array =>
  sequence(
    ...policies.map(({ policyIdentifier, cPSuri }) =>
      sequence(
        objectIdentifier(policyIdentifier),
        ...(cPSuri === undefined ? [] : [sequence(sequence(objectIdentifier('1.3.6.1.5.5.7.2.1'), ia5String(cPSuri)))]),
      ),
    ),
  );

/** KeyUsage (RFC 5280 section 4.2.1.3). */
export const keyUsageOf = (profile: Profile): Uint8Array =>
  namedBits(profile.keyUsage.map((usage) => keyUsageBits[usage]));

/** ExtKeyUsageSyntax (RFC 5280 section 4.2.1.12). */
export const extendedKeyUsageOf = (profile: Profile): Uint8Array =>
  sequence(
    ...profile.extendedKeyUsage.map((usage) =>
      objectIdentifier(
        Object.hasOwn(extendedKeyUsages, usage) ? extendedKeyUsages[usage as keyof typeof extendedKeyUsages] : usage,
      ),
    ),
  );

export const caCertificateUrl = (issuer: Pick<TbsIssuer, 'baseUrl' | 'issuerId'>): string =>
  `${issuer.baseUrl}/ca/${issuer.issuerId}.cer`;

export const crlUrl = (issuer: TbsIssuer, shard: number): string =>
  `${issuer.baseUrl}/crl/${issuer.issuerId}/${shard}.crl`;

/** Method 1 of RFC 7093 section 2: the leftmost 160 bits of the SHA-256 of the subjectPublicKey's bits. */
export function subjectKeyIdentifierOf(subjectPublicKeyInfo: Uint8Array): Uint8Array {
  const fields = DerReader.ofContents(subjectPublicKeyInfo).readSequence();
  fields.readElement();
  return createHash('sha256').update(fields.readOctetAlignedBitString()).digest().subarray(0, 20);
}

/** critical is DEFAULT FALSE, so DER leaves FALSE out. */
function extension(extnID: string, critical: boolean, extnValue: Uint8Array): Uint8Array {
  return critical
    ? sequence(objectIdentifier(extnID), boolean(true), octetString(extnValue))
    : sequence(objectIdentifier(extnID), octetString(extnValue));
}

/** One attribute in each RDN. countryName and serialNumber are PrintableString by definition (RFC 5280 appendix A.1). */
export const subjectOf = ({ subject }: GrantedNames): Uint8Array =>
  sequence(
    ...subject.map(({ type, value }) => {
      const printable = type === 'countryName' || type === 'serialNumber';
      return setOf(
        sequence(objectIdentifier(attributeTypes[type]), printable ? printableString(value) : utf8String(value)),
      );
    }),
  );

/** GeneralNames (RFC 5280 section 4.2.1.6). */
export const subjectAltNameOf = ({ subjectAltName }: GrantedNames): Uint8Array =>
  sequence(...subjectAltName.map(encodeGeneralName));

/** CRLDistributionPoints with one fullName (RFC 5280 section 4.2.1.13). */
export const crlDistributionPointsOf = (issuer: TbsIssuer, shard: number): Uint8Array =>
  sequence(sequence(contextConstructed(0, contextConstructed(0, uniformResourceIdentifier(crlUrl(issuer, shard))))));

/** AuthorityInfoAccessSyntax with one id-ad-caIssuers (RFC 5280 section 4.2.2.1). */
export const authorityInformationAccessOf = (issuer: TbsIssuer): Uint8Array =>
  sequence(sequence(objectIdentifier('1.3.6.1.5.5.7.48.2'), uniformResourceIdentifier(caCertificateUrl(issuer))));

const uniformResourceIdentifier = (url: string): Uint8Array => contextPrimitive(6, new TextEncoder().encode(url));
