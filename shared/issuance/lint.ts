import { DerError, DerReader, primitiveTag, sequence, tags } from '../asn1/index.ts';
import { MintmarkError } from '../errors.ts';
import { crlShardOf, type RecordableTbs } from '../ledger/index.ts';
import { algorithmIdentifier } from '../signer/index.ts';
import { type AttributeTypeAndValue, readDistinguishedName } from './distinguished-name.ts';
import { isHostName } from './names.ts';
import { attributeTypes, type Profile, upperBounds } from './profile.ts';
import {
  authorityInformationAccessOf,
  crlDistributionPointsOf,
  extendedKeyUsageOf,
  keyUsageOf,
  subjectKeyIdentifierOf,
  type TbsIssuer,
  type TbsVariables,
} from './tbs.ts';
import { readTbsCertificate, type TbsCertificate } from './tbs-reader.ts';

declare const linted: unique symbol;

/**
 * A TBSCertificate that passed every rule below. Only `lint` makes one and the ledger records nothing else, and signing
 * takes only what the ledger recorded: a signature over an unlinted TBS cannot be written down.
 */
export interface LintedTbsCertificate extends RecordableTbs {
  readonly [linted]: true;
}

export interface LintSubject {
  readonly tbs: TbsCertificate;
  readonly issuer: TbsIssuer;
  readonly profile: Profile;
  readonly variables: TbsVariables;
}

interface Rule<Subject> {
  readonly name: string;
  readonly source: string;
  readonly holds: (subject: Subject) => boolean;
}

/** What holds a TBS to its issuer alone can be asked of one that was recorded earlier, too. */
type IssuerRule = Rule<Pick<LintSubject, 'tbs' | 'issuer'>>;

/**
 * The extensions of an end-entity certificate, and whether each is critical (RFC 5280 section 4.2). A subjectAltName
 * is critical only beside an empty subject, which no profile makes.
 */
const expectedExtensions: ReadonlyMap<string, boolean> = new Map([
  ['2.5.29.19', true],
  ['2.5.29.15', true],
  ['2.5.29.37', false],
  ['2.5.29.14', false],
  ['2.5.29.35', false],
  ['2.5.29.17', false],
  ['2.5.29.31', false],
  ['1.3.6.1.5.5.7.1.1', false],
]);

/** countryName (of two letters) and serialNumber are PrintableString, the others DirectoryString. */
function isWithinItsType({ type, tag, value }: AttributeTypeAndValue): boolean {
  const name = (Object.keys(upperBounds) as (keyof typeof attributeTypes)[]).find(
    (each) => attributeTypes[each] === type,
  );
  if (name === undefined || Array.from(value).length > upperBounds[name]) return false;
  if (name === 'countryName') return tag === tags.printableString && /^[A-Z]{2}$/.test(value);
  return name === 'serialNumber' ? tag === tags.printableString : true;
}

function areSubjectAltNames(extnValue: Uint8Array): boolean {
  const names = DerReader.ofContents(extnValue).readSequence();
  while (!names.isAtEnd) {
    const isDnsName = names.peekTag() === primitiveTag(2);
    const value = names.readIa5String(isDnsName ? primitiveTag(2) : primitiveTag(6));
    if (isDnsName ? !isHostName(value) : !/^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+$/.test(value)) return false;
  }
  return true;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const extension = (tbs: TbsCertificate, extnID: string): Uint8Array =>
  tbs.extensions.find((candidate) => candidate.extnID === extnID)?.extnValue ?? new Uint8Array();

const issuerRules: readonly IssuerRule[] = [
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

export const rules: readonly Rule<LintSubject>[] = [
  ...issuerRules,
  { name: 'version-3', source: 'RFC 5280 section 4.1.2.1', holds: ({ tbs }) => tbs.version === 2 },
  {
    name: 'serial-number-of-16-octets-positive',
    source: 'RFC 5280 section 4.1.2.2',
    holds: ({ tbs }) =>
      tbs.serialNumber.length === 16 && (tbs.serialNumber[0] ?? 0) > 0 && (tbs.serialNumber[0] ?? 0) < 0x80,
  },
  {
    name: 'serial-number-as-recorded',
    source: 'the ledger finds a certificate by it',
    holds: ({ tbs, variables }) => same(tbs.serialNumber, variables.serialNumber),
  },
  {
    name: 'validity-as-long-as-the-profile-says',
    source: 'RFC 5280 section 4.1.2.5: both ends are inclusive',
    holds: ({ tbs, profile }) => tbs.notAfter - tbs.notBefore + 1000 === profile.validity.days * 86_400_000,
  },
  {
    name: 'subject-not-empty',
    source: 'RFC 5280 section 4.1.2.6',
    holds: ({ tbs }) => !same(tbs.subject, sequence()),
  },
  {
    name: 'subject-attributes-of-their-types-and-lengths',
    source: 'RFC 5280 appendix A.1',
    holds: ({ tbs }) => readDistinguishedName(DerReader.ofContents(tbs.subject)).flat().every(isWithinItsType),
  },
  {
    name: 'subject-public-key-is-the-csr-s',
    source: 'RFC 2986 section 3: the key whose possession was proven',
    holds: ({ tbs, variables }) => same(tbs.subjectPublicKeyInfo, variables.subjectPublicKeyInfo),
  },
  {
    name: 'extensions-each-once-critical-as-defined',
    source: 'RFC 5280 section 4.2',
    holds: ({ tbs }) =>
      tbs.extensions.length === expectedExtensions.size &&
      new Set(tbs.extensions.map(({ extnID }) => extnID)).size === expectedExtensions.size &&
      tbs.extensions.every(({ extnID, critical }) => expectedExtensions.get(extnID) === critical),
  },
  {
    name: 'not-a-ca',
    source: 'RFC 5280 section 4.2.1.9: cA DEFAULT FALSE is left out',
    holds: ({ tbs }) => same(extension(tbs, '2.5.29.19'), sequence()),
  },
  {
    name: 'key-usage-without-cert-sign-or-crl-sign',
    source: 'RFC 5280 section 4.2.1.3',
    holds: ({ tbs }) =>
      ((DerReader.ofContents(extension(tbs, '2.5.29.15')).readBitString().bytes[0] ?? 0xff) & 0b0000_0110) === 0,
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
    holds: ({ tbs }) => !DerReader.ofContents(extension(tbs, '2.5.29.17')).readSequence().isAtEnd,
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
    name: 'crl-distribution-point-of-the-recorded-shard',
    source: 'RFC 5280 section 4.2.1.13: a revocation is looked for where the certificate says',
    holds: ({ tbs, issuer, variables }) => {
      const shard = crlShardOf(Buffer.from(variables.serialNumber).toString('hex'), issuer.crlShardCount);
      return same(extension(tbs, '2.5.29.31'), crlDistributionPointsOf(issuer, shard));
    },
  },
  {
    name: 'ca-issuers-of-the-issuer',
    source: 'RFC 5280 section 4.2.2.1',
    holds: ({ tbs, issuer }) => same(extension(tbs, '1.3.6.1.5.5.7.1.1'), authorityInformationAccessOf(issuer)),
  },
  {
    name: 'subject-alt-names-of-their-forms',
    source: 'RFC 5280 section 4.2.1.6: a dNSName in the preferred name syntax, an absolute URI',
    holds: ({ tbs }) => areSubjectAltNames(extension(tbs, '2.5.29.17')),
  },
];

/**
 * Looks at the exact bytes that would be signed.
 * @throws MintmarkError LINT_FAILED that names every broken rule
 */
export function lint(
  tbsCertificate: Uint8Array,
  issuer: TbsIssuer,
  profile: Profile,
  variables: TbsVariables,
): LintedTbsCertificate {
  const broken = brokenRules(tbsCertificate, issuer, profile, variables);
  if (broken.length > 0) {
    throw new MintmarkError('LINT_FAILED', `The certificate would break ${broken.join(', ')}.`);
  }
  const serialNumber = Buffer.from(variables.serialNumber).toString('hex');
  const certificate: Omit<LintedTbsCertificate, typeof linted> = {
    tbsCertificate,
    serialNumber,
    crlShard: crlShardOf(serialNumber, issuer.crlShardCount),
    issuerId: issuer.issuerId,
    profileHash: profile.hash,
    notBefore: variables.notBefore,
    notAfter: variables.notAfter,
    ignored: variables.names.ignored,
  };
  return certificate as LintedTbsCertificate;
}

/**
 * Whether a TBS that was recorded earlier is still one of this issuer: it is not when the issuer's key or certificate
 * was replaced in the meantime.
 */
export function isStillOfIssuer(tbsCertificate: Uint8Array, issuer: TbsIssuer): boolean {
  const tbs = readTbsCertificate(tbsCertificate);
  return issuerRules.every((rule) => holds(rule, { tbs, issuer }));
}

function brokenRules(
  tbsCertificate: Uint8Array,
  issuer: TbsIssuer,
  profile: Profile,
  variables: TbsVariables,
): readonly string[] {
  try {
    const tbs = readTbsCertificate(tbsCertificate);
    return rules
      .filter((rule) => !holds(rule, { tbs, issuer, profile, variables }))
      .map((rule) => `${rule.name} (${rule.source})`);
  } catch (error) {
    if (error instanceof DerError) return [`der (X.690): ${error.message}`];
    throw error;
  }
}

/** A rule that cannot read what it looks at is broken. */
function holds<Subject>(rule: Rule<Subject>, subject: Subject): boolean {
  try {
    return rule.holds(subject);
  } catch (error) {
    if (error instanceof DerError) return false;
    throw error;
  }
}
