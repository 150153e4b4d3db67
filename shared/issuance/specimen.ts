import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { objectIdentifier, sequence, setOf, utf8String } from '../asn1/index.ts';
import { type ErrorCode, MintmarkError } from '../errors.ts';
import { assembleCertificate } from './certificate.ts';
import { encodeGeneralName, type GrantedGeneralName, isSameName } from './granted-name.ts';
import { grantOf, nameOf } from './grants.ts';
import { type BrokenRule, lint, lintAgain } from './lint.ts';
import { type GrantedNames, grantNames, grantsOnRequest } from './names.ts';
import { objectIdentifiers } from './object-identifiers.ts';
import { attributeTypes, type Profile, upperBounds } from './profile.ts';
import { sampleNames } from './sample-names.ts';
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

/** A kind of key that a profile allows. */
export interface KeyKind {
  /** `P-256`, `RSA 2048`, `Ed25519`. */
  readonly name: string;
  readonly newPublicKey: () => KeyObject;
}

/** Why there is no specimen, and the field that says so. */
export interface SpecimenRefusal {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** NAME_NOT_ALLOWED or LINT_FAILED, with everything that keeps the certificate from being. */
export class SpecimenError extends MintmarkError {
  readonly refusals: readonly SpecimenRefusal[];

  constructor(code: ErrorCode, refusals: readonly SpecimenRefusal[], options?: { cause?: unknown }) {
    super(code, refusals.map(({ message }) => message).join('; '), options);
    this.refusals = refusals;
  }
}

/** Every curve, Ed25519, and RSA with the shortest modulus: the rules make no difference between its lengths. */
export const keyKindsOf = ({ keys: { ec, rsa, ed25519 } }: Profile): readonly KeyKind[] => [
  ...(ec?.curves ?? []).map((namedCurve) => ({
    name: namedCurve,
    newPublicKey: () => generateKeyPairSync('ec', { namedCurve }).publicKey,
  })),
  ...(ed25519 === true ? [{ name: 'Ed25519', newPublicKey: () => generateKeyPairSync('ed25519').publicKey }] : []),
  ...(rsa === undefined
    ? []
    : [
        {
          name: `RSA ${rsa.minimumBits}`,
          newPublicKey: () => generateKeyPairSync('rsa', { modulusLength: rsa.minimumBits }).publicKey,
        },
      ]),
];

/**
 * The certificate that a profile makes for a device whose CSR asks for no name, through the very template and lint that
 * issue.
 * @param now milliseconds since the epoch
 * @throws SpecimenError where the profile makes no certificate for this device id and kind of key
 */
export function specimenOf(
  profile: Profile,
  deviceId: string,
  key: KeyKind,
  now: number,
  randomBytes: (count: number) => Uint8Array,
): Specimen {
  const subjectPublicKeyInfo = key.newPublicKey().export({ type: 'spki', format: 'der' });
  const names = namesOf(profile, deviceId);
  refuseUngrantable(profile, deviceId);
  const { issuer, privateKey } = specimenIssuer(profile, now);
  const variables = {
    serialNumber: newSerialNumber(randomBytes),
    ...validityOf(profile, issuer.certificate, now),
    names,
    subjectPublicKeyInfo,
  };
  const prepared = refusing(['extensions'], () => tbsTemplate(issuer, profile)(variables));
  refuseBroken(lintAgain(prepared, issuer, profile));
  const { tbsCertificate } = lint(prepared, issuer, profile, variables);
  const signature = sign('sha256', tbsCertificate, privateKey);
  return {
    profile,
    deviceId,
    key: key.name,
    names,
    onRequest: grantsOnRequest(profile, deviceId).map(({ description }) => description),
    notBefore: variables.notBefore,
    notAfter: variables.notAfter,
    certificate: assembleCertificate(tbsCertificate, signature, issuer.scheme, issuer.certificate.publicKey),
  };
}

function namesOf(profile: Profile, deviceId: string): GrantedNames {
  const place = profile.subjectAltName.always.findIndex((template) => nameOf(template, deviceId) === undefined);
  const path = ['subjectAltName', ...(place < 0 ? [] : ['always', place])];
  return refusing(path, () => grantedTo(profile, deviceId, []));
}

/** @throws SpecimenError at this path for what is refused */
function refusing<Made>(path: SpecimenRefusal['path'], make: () => Made): Made {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof MintmarkError)) throw error;
    throw new SpecimenError(error.code, [{ path, message: error.message }], { cause: error });
  }
}

/** @throws MintmarkError as grantNames */
function grantedTo(profile: Profile, deviceId: string, asked: readonly GrantedGeneralName[]): GrantedNames {
  const extnID = objectIdentifiers.subjectAltName;
  const requestedExtensions =
    asked.length === 0 ? [] : [{ extnID, critical: false, extnValue: sequence(...asked.map(encodeGeneralName)) }];
  return grantNames(profile, deviceId, { subject: [], requestedExtensions });
}

/**
 * Asks for a name of each template under onRequest, by itself: one that nobody can have is a mistake of the profile's. What
 * this device id cannot be in is none.
 * @throws SpecimenError with those of which no name is granted
 */
function refuseUngrantable(profile: Profile, deviceId: string): void {
  const refusals = profile.subjectAltName.onRequest.flatMap((template, index): SpecimenRefusal[] => {
    if (grantOf(template, deviceId) === undefined) return [];
    const refused = sampleNames(template, deviceId).map((name) => refusalOf(profile, deviceId, name));
    if (refused.includes(undefined)) return [];
    const message = `what may be asked for here is never granted: ${refused[0] ?? 'no name is made of it'}`;
    return [{ path: ['subjectAltName', 'onRequest', index], message }];
  });
  if (refusals.length > 0) throw new SpecimenError('NAME_NOT_ALLOWED', refusals);
}

/** Why a name is not granted; undefined where it is. */
function refusalOf(profile: Profile, deviceId: string, name: GrantedGeneralName): string | undefined {
  try {
    const { subjectAltName } = grantedTo(profile, deviceId, [name]);
    return subjectAltName.some((granted) => isSameName(name, granted)) ? undefined : 'it is ignored';
  } catch (error) {
    if (error instanceof MintmarkError) return error.message;
    throw error;
  }
}

/** What a profile can do about a rule: the field that it is about, and what is expected there. */
export const remedies: Readonly<
  Partial<Record<string, { readonly path: readonly string[]; readonly expected: string }>>
> = {
  'subject-attributes-of-their-types-and-lengths': {
    path: ['subject'],
    expected: `attributes that with the device id in them are of at most ${Object.entries(upperBounds)
      .map(([type, bound]) => `${bound} (${type})`)
      .join(', ')} characters, a serialNumber of those that a PrintableString has`,
  },
  'key-usage-fits-the-key': { path: ['keyUsage'], expected: 'key usages for every kind of key that is allowed' },
  'subject-alt-names-of-their-forms': {
    path: ['subjectAltName', 'always'],
    expected: 'host names, mailboxes and absolute URIs, with the device id in them',
  },
  'subject-alt-names-each-once': {
    path: ['subjectAltName', 'always'],
    expected: 'names that differ with the device id in them',
  },
  'common-name-of-a-server-among-its-names': {
    path: ['subject'],
    expected: 'no commonName that is a host name, or the same dNSName under subjectAltName.always',
  },
  'extensions-each-once': { path: ['extensions'], expected: 'none that Mintmark adds itself' },
  'extensions-as-the-profile-says-critical-as-defined': {
    path: ['extensions'],
    expected: 'none that Mintmark adds itself',
  },
  'validity-as-long-as-the-profile-says': { path: ['validity'], expected: 'a lifetime that dates can say' },
};

function refuseBroken(broken: readonly BrokenRule[]): void {
  if (broken.length === 0) return;
  const refusals = broken.map(({ name, source }) => {
    const remedy = remedies[name];
    const expected = remedy === undefined ? '' : `; expected: ${remedy.expected}`;
    return { path: remedy?.path ?? [], message: `the certificate would break ${name} (${source})${expected}` };
  });
  throw new SpecimenError('LINT_FAILED', refusals);
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
