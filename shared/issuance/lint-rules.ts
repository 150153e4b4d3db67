import { constructedTag, DerReader, primitiveTag, sequence, tags } from '../asn1/index.ts';
import { type AbandonedSerial, crlShardOf } from '../ledger/index.ts';
import { algorithmIdentifier } from '../signer/index.ts';
import type { RequestedExtension } from './certification-request.ts';
import { type AttributeTypeAndValue, readDistinguishedName } from './distinguished-name.ts';
import { hasSpiffeScheme, isHostName, isMailbox, isUri, isWildcardName } from './name-forms.ts';
import type { GrantedNames } from './names.ts';
import { longestWithoutRevocation } from './profile/schema.ts';
import { refusedExtendedKeyUsages, reservedExtension } from './profile/vocabulary.ts';
import { type AttributeType, attributeTypes, keyUsageBits, lifetimeOf, type Profile, upperBounds } from './profile.ts';
import { type PublicKey, readPublicKey } from './public-key.ts';
import {
  crlDistributionPointsOf,
  extendedKeyUsageOf,
  fixedExtensionsOf,
  isRevocable,
  keyUsageOf,
  subjectAltNameOf,
  subjectKeyIdentifierOf,
  subjectOf,
  type TbsIssuer,
  type TbsVariables,
  withoutEnd,
} from './tbs.ts';
import type { TbsCertificate } from './tbs-reader.ts';

/**
 * What every TBSCertificate must keep, sorted by what it is held to: itself, its issuer, its profile, its request. One that
 * was recorded earlier can still be held to the first two, and to its profile while that is deployed unchanged.
 */
export interface Rule<Subject> {
  readonly name: string;
  readonly source: string;
  readonly holds: (subject: Subject) => boolean;
}

export interface CertificateSubject {
  readonly tbs: TbsCertificate;
}

export interface IssuerSubject extends CertificateSubject {
  readonly issuer: TbsIssuer;
}

export interface ProfileSubject extends IssuerSubject {
  readonly profile: Profile;
}

export interface RequestSubject extends ProfileSubject {
  readonly variables: TbsVariables;
}

export interface GrantSubject extends CertificateSubject {
  /** As it is deployed today. */
  readonly profile: Profile;
  /** What it grants the device today. */
  readonly names: GrantedNames;
}

/** What a row says of the certificate that it holds, or that its intent is of; what it does not say is not the same. */
export interface RowSubject extends IssuerSubject {
  readonly row: Partial<Pick<AbandonedSerial, 'serialNumber' | 'crlShard'>> & { readonly notAfter?: number };
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const extension = (tbs: TbsCertificate, extnID: string): Uint8Array =>
  tbs.extensions.find((candidate) => candidate.extnID === extnID)?.extnValue ?? new Uint8Array();

const keyUsageBitsOf = (tbs: TbsCertificate): number =>
  DerReader.ofContents(extension(tbs, '2.5.29.15')).readBitString().bytes[0] ?? 0xff;

/** The KeyPurposeIds of an ExtKeyUsageSyntax, dotted. */
function keyPurposesIn(extnValue: Uint8Array): readonly string[] {
  const list = DerReader.ofContents(extnValue).readSequence();
  const purposes: string[] = [];
  while (!list.isAtEnd) purposes.push(list.readObjectIdentifier());
  return purposes;
}

const keyPurposesOf = (tbs: TbsCertificate): readonly string[] => keyPurposesIn(extension(tbs, '2.5.29.37'));

/** The extensions that are Mintmark's own to write (tbs.ts); of a profile's further ones none is reserved. */
const ownExtensions: ReadonlySet<string> = new Set([
  '2.5.29.14',
  '2.5.29.15',
  '2.5.29.17',
  '2.5.29.19',
  '2.5.29.31',
  '2.5.29.32',
  '2.5.29.35',
  '2.5.29.37',
  '2.5.29.56',
  '1.3.6.1.5.5.7.1.1',
]);

/** countryName (of two letters) and serialNumber are PrintableString, the others DirectoryString. */
function isWithinItsType({ type, tag, value }: AttributeTypeAndValue): boolean {
  const name = (Object.keys(upperBounds) as AttributeType[]).find((each) => attributeTypes[each] === type);
  if (name === undefined || Array.from(value).length > upperBounds[name]) return false;
  if (name === 'countryName') return tag === tags.printableString && /^[A-Z]{2}$/.test(value);
  return name === 'serialNumber' ? tag === tags.printableString : true;
}

/** Each name in the form of its kind (RFC 5280 section 4.2.1.6), and of a kind that a profile can grant. */
function areSubjectAltNames(extnValue: Uint8Array): boolean {
  const names = DerReader.ofContents(extnValue).readSequence();
  while (!names.isAtEnd) if (!isSubjectAltName(names)) return false;
  return true;
}

function isSubjectAltName(names: DerReader): boolean {
  const tag = names.peekTag();
  switch (tag) {
    case primitiveTag(1):
      return isMailbox(names.readIa5String(tag));
    case primitiveTag(2): {
      const dNSName = names.readIa5String(tag);
      return isHostName(dNSName) || isWildcardName(dNSName);
    }
    case primitiveTag(6):
      return isUri(names.readIa5String(tag));
    case primitiveTag(7):
      return [4, 16].includes(names.readContents(tag).length);
    case constructedTag(0): {
      const otherName = names.readConstructed(tag);
      otherName.readObjectIdentifier();
      const value = otherName.readConstructed(constructedTag(0));
      value.readAny();
      value.expectEnd('otherName value');
      otherName.expectEnd('otherName');
      return true;
    }
    default:
      return false;
  }
}

function subjectAltNamesOf(tbs: TbsCertificate): readonly Uint8Array[] {
  const names = DerReader.ofContents(extension(tbs, '2.5.29.17')).readSequence();
  const encodings: Uint8Array[] = [];
  while (!names.isAtEnd) encodings.push(names.readAny());
  return encodings;
}

/** The DNS knows no case (RFC 5280 section 7.2). */
function comparedAs(name: Uint8Array): string {
  const text = Buffer.from(name).toString('latin1');
  return name[0] === primitiveTag(2) ? text.toLowerCase() : text;
}

const hasSubject = (tbs: TbsCertificate): boolean => !same(tbs.subject, sequence());

/** keyEncipherment and dataEncipherment are for RSA (RFC 8813 section 3), keyAgreement for EC (RFC 3279 section 2.3). */
function mayBeUsedSo(key: PublicKey, keyUsage: number): boolean {
  const enciphers = (keyUsage & 0b0011_0000) !== 0;
  const agrees = (keyUsage & 0b0000_1000) !== 0;
  return (!enciphers || key.kind === 'rsa') && (!agrees || key.kind === 'ec');
}

export const certificateRules: readonly Rule<CertificateSubject>[] = [
  { name: 'version-3', source: 'RFC 5280 section 4.1.2.1', holds: ({ tbs }) => tbs.version === 2 },
  {
    name: 'serial-number-of-16-octets-positive',
    source: 'RFC 5280 section 4.1.2.2',
    holds: ({ tbs }) =>
      tbs.serialNumber.length === 16 && (tbs.serialNumber[0] ?? 0) > 0 && (tbs.serialNumber[0] ?? 0) < 0x80,
  },
  {
    name: 'subject-or-critical-subject-alt-name',
    source: 'RFC 5280 sections 4.1.2.6 and 4.2.1.6',
    holds: ({ tbs }) =>
      tbs.extensions.some(({ extnID, critical }) => extnID === '2.5.29.17' && critical === !hasSubject(tbs)),
  },
  {
    name: 'subject-attributes-of-their-types-and-lengths',
    source: 'RFC 5280 appendix A.1',
    holds: ({ tbs }) => readDistinguishedName(DerReader.ofContents(tbs.subject)).flat().every(isWithinItsType),
  },
  {
    name: 'extensions-each-once',
    source: 'RFC 5280 section 4.2',
    holds: ({ tbs }) => new Set(tbs.extensions.map(({ extnID }) => extnID)).size === tbs.extensions.length,
  },
  {
    name: 'not-a-ca',
    source: 'RFC 5280 section 4.2.1.9: cA DEFAULT FALSE is left out',
    holds: ({ tbs }) => same(extension(tbs, '2.5.29.19'), sequence()),
  },
  {
    name: 'key-usage-without-cert-sign-or-crl-sign',
    source: 'RFC 5280 section 4.2.1.3',
    holds: ({ tbs }) => (keyUsageBitsOf(tbs) & 0b0000_0110) === 0,
  },
  {
    name: 'key-usage-fits-the-key',
    source: 'RFC 8813 section 3, RFC 3279 section 2.3, RFC 8410 section 5',
    holds: ({ tbs }) => mayBeUsedSo(readPublicKey(tbs.subjectPublicKeyInfo), keyUsageBitsOf(tbs)),
  },
  {
    name: 'extended-key-usage-of-an-end-entity',
    source:
      'RFC 5280 section 4.2.1.12: a certificate without one, or with anyExtendedKeyUsage, is for every purpose; RFC 6960 section 4.2.2.2: one for OCSPSigning speaks for its issuer',
    holds: ({ tbs }) => {
      const purposes = keyPurposesOf(tbs);
      return purposes.length > 0 && !purposes.some((purpose) => refusedExtendedKeyUsages.has(purpose));
    },
  },
  {
    name: 'extensions-of-an-end-entity',
    source: 'RFC 5280 section 4.2.1, RFC 3820, RFC 6960 section 4.2.2.2.1: what makes something else of a certificate',
    holds: ({ tbs }) =>
      tbs.extensions.every(({ extnID }) => ownExtensions.has(extnID) || reservedExtension(extnID) === undefined),
  },
  {
    name: 'subject-key-identifier-of-this-key',
    source: 'RFC 5280 section 4.2.1.2',
    holds: ({ tbs }) =>
      same(
        DerReader.ofContents(extension(tbs, '2.5.29.14')).readOctetString(),
        subjectKeyIdentifierOf(tbs.subjectPublicKeyInfo),
      ),
  },
  {
    name: 'subject-alt-name-not-empty',
    source: 'RFC 5280 section 4.2.1.6',
    holds: ({ tbs }) => subjectAltNamesOf(tbs).length > 0,
  },
  {
    name: 'subject-alt-names-of-their-forms',
    source: 'RFC 5280 section 4.2.1.6: a dNSName in the preferred name syntax, an absolute URI; SPIFFE-ID section 2',
    holds: ({ tbs }) => areSubjectAltNames(extension(tbs, '2.5.29.17')),
  },
  {
    name: 'subject-alt-names-each-once',
    source: 'a name twice says nothing more, and some readers refuse it',
    holds: ({ tbs }) => {
      const names = subjectAltNamesOf(tbs).map(comparedAs);
      return new Set(names).size === names.length;
    },
  },
  {
    name: 'one-uri-where-there-is-a-spiffe-id',
    source: 'X509-SVID section 2: who finds more than one URI refuses the certificate',
    holds: ({ tbs }) => {
      const uris = subjectAltNamesOf(tbs).filter((name) => name[0] === primitiveTag(6));
      return (
        uris.length < 2 ||
        !uris.some((name) => hasSpiffeScheme(DerReader.ofContents(name).readIa5String(primitiveTag(6))))
      );
    },
  },
];

export const issuerRules: readonly Rule<IssuerSubject>[] = [
  {
    name: 'signature-algorithm-of-the-issuer',
    source: 'RFC 5280 section 4.1.2.3',
    holds: ({ tbs, issuer }) => same(tbs.signature, algorithmIdentifier(issuer.scheme)),
  },
  {
    name: 'issuer-is-the-issuing-ca-s-subject',
    source: 'RFC 5280 section 4.1.2.4',
    holds: ({ tbs, issuer }) => same(tbs.issuer, issuer.certificate.subject),
  },
  {
    name: 'validity-within-the-issuer-s',
    source: 'RFC 5280 section 6.1.3 (a) (2): a path is valid while every certificate in it is',
    holds: ({ tbs, issuer }) =>
      tbs.notBefore >= issuer.certificate.notBefore && tbs.notAfter <= issuer.certificate.notAfter,
  },
  {
    name: 'authority-key-identifier-of-the-issuer',
    source: 'RFC 5280 section 4.2.1.1',
    holds: ({ tbs, issuer }) =>
      same(
        DerReader.ofContents(extension(tbs, '2.5.29.35')).readSequence().readContents(0x80),
        issuer.certificate.subjectKeyIdentifier,
      ),
  },
];

/** What a certificate says of where its issuer tells whether it is revoked, whatever its profile is. */
export const revocationRules: readonly Rule<IssuerSubject>[] = [
  {
    name: 'revocation-told-where-the-issuer-tells-it',
    source: 'RFC 5280 section 4.2.1.13, RFC 9608 section 2: in the CRL of its shard, or for a day at most nowhere',
    holds: ({ tbs, issuer }) => {
      if (tbs.extensions.some(({ extnID }) => extnID === '2.5.29.56')) {
        return tbs.notAfter - tbs.notBefore + 1000 <= longestWithoutRevocation;
      }
      const shard = crlShardOf(serialNumberOf(tbs), issuer.crlShardCount);
      return same(extension(tbs, '2.5.29.31'), crlDistributionPointsOf(issuer, shard));
    },
  },
];

export const profileRules: readonly Rule<ProfileSubject>[] = [
  {
    name: 'validity-as-long-as-the-profile-says',
    source: 'RFC 5280 section 4.1.2.5: both ends are inclusive',
    holds: ({ tbs, issuer, profile }) => {
      const lifetime = tbs.notAfter - tbs.notBefore + 1000;
      const whole = lifetimeOf(profile.validity);
      if (profile.validity.beyondIssuer === 'clamp' && tbs.notAfter === issuer.certificate.notAfter) {
        return lifetime <= whole;
      }
      return whole === Number.POSITIVE_INFINITY ? tbs.notAfter === withoutEnd : lifetime === whole;
    },
  },
  {
    name: 'extensions-as-the-profile-says-critical-as-defined',
    source: 'RFC 5280 section 4.2',
    holds: ({ tbs, issuer, profile }) => {
      const expected = expectedExtensions(issuer, profile, hasSubject(tbs));
      return (
        tbs.extensions.length === expected.size &&
        tbs.extensions.every(({ extnID, critical }) => expected.get(extnID) === critical)
      );
    },
  },
  {
    name: 'key-usage-as-the-profile-says',
    source: 'RFC 5280 section 4.2.1.3',
    holds: ({ tbs, profile }) => same(extension(tbs, '2.5.29.15'), keyUsageOf(profile)),
  },
  {
    name: 'extended-key-usage-as-the-profile-says',
    source: 'RFC 5280 section 4.2.1.12',
    holds: ({ tbs, profile }) => same(extension(tbs, '2.5.29.37'), extendedKeyUsageOf(profile)),
  },
  {
    name: 'crl-distribution-point-of-the-shard',
    source: 'RFC 5280 section 4.2.1.13: a revocation is looked for where the certificate says',
    holds: ({ tbs, issuer, profile }) => {
      if (!isRevocable(profile)) return tbs.extensions.every(({ extnID }) => extnID !== '2.5.29.31');
      const shard = crlShardOf(Buffer.from(tbs.serialNumber).toString('hex'), issuer.crlShardCount);
      return same(extension(tbs, '2.5.29.31'), crlDistributionPointsOf(issuer, shard));
    },
  },
  {
    name: 'further-extensions-as-the-profile-says',
    source: 'RFC 5280 sections 4.2.2.1 (authorityInfoAccess) and 4.2.1.4 (certificatePolicies), RFC 9608 (noRevAvail)',
    holds: ({ tbs, issuer, profile }) =>
      fixedExtensionsOf(issuer, profile).every(({ extnID, extnValue }) => same(extension(tbs, extnID), extnValue)),
  },
  {
    name: 'wildcards-only-where-the-profile-has-them',
    source: 'RFC 9525 section 6.3',
    holds: ({ tbs, profile }) =>
      hasWildcards(profile) ||
      !subjectAltNamesOf(tbs).some((name) => name[0] === primitiveTag(2) && name.includes('*'.charCodeAt(0))),
  },
  {
    name: 'common-name-of-a-server-among-its-names',
    source: 'RFC 9525 section 2: a client looks at the subjectAltName alone, so a name that is not there is none',
    holds: ({ tbs, profile }) =>
      !profile.extendedKeyUsage.includes('serverAuth') ||
      readDistinguishedName(DerReader.ofContents(tbs.subject))
        .flat()
        .filter(({ type, value }) => type === attributeTypes.commonName && value.includes('.') && isHostName(value))
        .every(({ value }) =>
          subjectAltNamesOf(tbs).some((name) => Buffer.from(name).subarray(2).toString('latin1') === value),
        ),
  },
];

/**
 * The extensions of a profile's certificates, and whether each is critical (RFC 5280 section 4.2). A subjectAltName is
 * critical only beside an empty subject.
 */
function expectedExtensions(issuer: TbsIssuer, profile: Profile, withSubject: boolean): ReadonlyMap<string, boolean> {
  return new Map([
    ['2.5.29.19', true],
    ['2.5.29.15', true],
    ['2.5.29.37', false],
    ['2.5.29.14', false],
    ['2.5.29.35', false],
    ['2.5.29.17', !withSubject],
    ...(isRevocable(profile) ? ([['2.5.29.31', false]] as const) : []),
    ...fixedExtensionsOf(issuer, profile).map(({ extnID, critical }) => [extnID, critical] as const),
  ]);
}

/** A device's registration may list one, too; what is registered is somebody's decision as what is in a profile is. */
const hasWildcards = ({ subjectAltName: { always, onRequest, registered = 'never' } }: Profile): boolean =>
  registered !== 'never' || [...always, ...onRequest].some(({ dNSName }) => dNSName?.startsWith('*.') === true);

export const requestRules: readonly Rule<RequestSubject>[] = [
  {
    name: 'serial-number-as-recorded',
    source: 'the ledger finds a certificate by it',
    holds: ({ tbs, variables }) => same(tbs.serialNumber, variables.serialNumber),
  },
  {
    name: 'subject-public-key-is-the-csr-s',
    source: 'RFC 2986 section 3: the key whose possession was proven',
    holds: ({ tbs, variables }) => same(tbs.subjectPublicKeyInfo, variables.subjectPublicKeyInfo),
  },
  {
    name: 'names-as-granted',
    source: 'what was granted to this device, and nothing of another',
    holds: ({ tbs, variables: { names } }) => hasNames(tbs, names),
  },
];

/** Whether it has these names and no others, in their order. */
const hasNames = (tbs: TbsCertificate, names: GrantedNames): boolean =>
  same(tbs.subject, subjectOf(names)) && same(extension(tbs, '2.5.29.17'), subjectAltNameOf(names));

/** What a TBS that was recorded earlier is held to by the profile of today, whatever the one was that it was made under. */
export const grantRules: readonly Rule<GrantSubject>[] = [
  {
    name: 'names-as-granted-today',
    source: 'what is granted to this device, and nothing of another',
    holds: ({ tbs, names }) => hasNames(tbs, names),
  },
  {
    name: 'purposes-as-granted-today',
    source: 'RFC 5280 sections 4.2.1.3 and 4.2.1.12: none that the profile does not name',
    holds: ({ tbs, profile }) => {
      const granted = keyPurposesIn(extendedKeyUsageOf(profile));
      const usages = profile.keyUsage.reduce((bits, usage) => bits | (0x80 >> keyUsageBits[usage]), 0);
      return (
        keyPurposesOf(tbs).every((purpose) => granted.includes(purpose)) && (keyUsageBitsOf(tbs) & ~usages & 0xff) === 0
      );
    },
  },
];

/** The subjectAltName of a TBS as an extension that a CSR asks for. */
export const subjectAltNameAsRequested = (tbs: TbsCertificate): RequestedExtension => ({
  extnID: '2.5.29.17',
  critical: false,
  extnValue: extension(tbs, '2.5.29.17'),
});

/** A certificate is found, counted and revoked by what its row says of it. */
export const rowRules: readonly Rule<RowSubject>[] = [
  {
    name: 'serial-number-of-its-row',
    source: 'RFC 5280 section 5.3: it is revoked by it',
    holds: ({ tbs, row }) => serialNumberOf(tbs) === row.serialNumber,
  },
  {
    name: 'not-after-of-its-row',
    source: 'renewals and the index byExpiry go by the row',
    holds: ({ tbs, row }) => tbs.notAfter === row.notAfter,
  },
  {
    name: 'crl-shard-of-its-row',
    source:
      'RFC 5280 section 4.2.1.13: a revocation is written where the row says, and looked for where the certificate says',
    holds: ({ tbs, row, issuer }) => crlShardOf(serialNumberOf(tbs), issuer.crlShardCount) === row.crlShard,
  },
];

/** Lower-case hex. */
export const serialNumberOf = ({ serialNumber }: TbsCertificate): string => Buffer.from(serialNumber).toString('hex');
