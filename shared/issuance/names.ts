import { MintmarkError } from '../errors.ts';
import { readBasicConstraints } from './basic-constraints.ts';
import type { CertificationRequest, RequestedExtension } from './certification-request.ts';
import type { DistinguishedName } from './distinguished-name.ts';
import { type GeneralName, readGeneralNames } from './general-names.ts';
import { describeObjectIdentifier, objectIdentifiers } from './object-identifiers.ts';
import { attributeTypes, type GeneralNameTemplate, ignorableExtensions, type Profile } from './profile.ts';

export interface GrantedAttribute {
  readonly type: keyof typeof attributeTypes;
  readonly value: string;
}

export interface GrantedGeneralName {
  readonly kind: 'uniformResourceIdentifier' | 'dNSName';
  readonly value: string;
}

/** The names of a certificate, made from the profile and the device alone. */
export interface GrantedNames {
  readonly subject: readonly GrantedAttribute[];
  readonly subjectAltName: readonly GrantedGeneralName[];
  /** What the CSR asked for and the profile says to leave out, by name; it goes into the row. */
  readonly ignored: readonly string[];
}

/**
 * The names that a profile grants a device. The CSR chooses among them and adds none: a text of its own never reaches
 * the certificate, only the profile's, with the device id filled in.
 * @throws MintmarkError NAME_NOT_ALLOWED, EXTENSION_NOT_ALLOWED
 */
export function grantNames(profile: Profile, deviceId: string, request: CertificationRequest): GrantedNames {
  const subject = profile.subject.flatMap((entry) =>
    Object.entries(entry).map(([type, template]) => ({
      type: type as keyof typeof attributeTypes,
      value: filled(template, deviceId),
    })),
  );
  const always = profile.subjectAltName.always.flatMap((entry) => generalNames(entry, deviceId));
  const onRequest = profile.subjectAltName.onRequest
    .flatMap((entry) => generalNames(entry, deviceId))
    // A device id need not be a host name; where it is not, there is no such name to grant.
    .filter((name) => name.kind !== 'dNSName' || isHostName(name.value));
  const requested = requestedNames(request.requestedExtensions);
  for (const name of requested) refuseUnlessGranted(name, [...always, ...onRequest], profile);
  const isRequested = (granted: GrantedGeneralName) => requested.some((name) => sameName(name, granted));
  return {
    subject,
    subjectAltName: [...always, ...onRequest.filter(isRequested)],
    ignored: [
      ...ignoredAttributes(request.subject, subject, profile),
      ...ignoredExtensions(request.requestedExtensions, profile),
    ],
  };
}

const filled = (template: string, deviceId: string): string => template.replaceAll('{deviceId}', deviceId);

const generalNames = (entry: GeneralNameTemplate, deviceId: string): readonly GrantedGeneralName[] =>
  Object.entries(entry).map(([kind, template]) => ({
    kind: kind as GrantedGeneralName['kind'],
    value: filled(template, deviceId),
  }));

/** The preferred name syntax of RFC 1034 section 3.5, as RFC 5280 section 4.2.1.6 asks, without a trailing dot. */
export const isHostName = (text: string): boolean =>
  text.length <= 253 &&
  // What ends in a number is an address to some readers (RFC 1123 section 2.1).
  !/(^|\.)[0-9]+$/.test(text) &&
  text.split('.').every((label) => /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label));

function requestedNames(extensions: readonly RequestedExtension[]): readonly GeneralName[] {
  const extension = extensions.find(({ extnID }) => extnID === objectIdentifiers.subjectAltName);
  return extension === undefined ? [] : readGeneralNames(extension.extnValue);
}

/** DNS names compare without case (RFC 5280 section 7.2), URIs as they are written. */
function sameName(requested: GeneralName, granted: GrantedGeneralName): boolean {
  if (requested.kind !== granted.kind) return false;
  return granted.kind === 'dNSName'
    ? String(requested.value).toLowerCase() === granted.value.toLowerCase()
    : requested.value === granted.value;
}

function refuseUnlessGranted(name: GeneralName, granted: readonly GrantedGeneralName[], profile: Profile): void {
  if (granted.some((candidate) => sameName(name, candidate))) return;
  const value = typeof name.value === 'string' ? ` ${quoted(name.value)}` : '';
  const names = granted.map((candidate) => `${candidate.kind} ${candidate.value}`).join(', ');
  throw new MintmarkError(
    'NAME_NOT_ALLOWED',
    `The CSR asks for the ${name.kind}${value} in its subjectAltName; the profile ${profile.name} grants this device ${names}.`,
  );
}

/** Every attribute of the CSR's subject must be one that is granted, or of a type that the profile ignores. */
function ignoredAttributes(
  requested: DistinguishedName,
  granted: readonly GrantedAttribute[],
  profile: Profile,
): readonly string[] {
  const ignored: string[] = [];
  for (const { type, value } of requested.flat()) {
    const isGranted = granted.some((attribute) => attributeTypes[attribute.type] === type && attribute.value === value);
    if (isGranted) continue;
    const name = profile.ignored.subjectAttributes.find((attribute) => attributeTypes[attribute] === type);
    if (name === undefined) {
      throw new MintmarkError(
        'NAME_NOT_ALLOWED',
        `The CSR's subject has ${nameOfAttribute(type)} ${quoted(value)}; the profile ${profile.name} grants this device ` +
          `${granted.map((attribute) => `${attribute.type} ${attribute.value}`).join(', ')}.`,
      );
    }
    ignored.push(`subject ${name}`);
  }
  return ignored;
}

function ignoredExtensions(requested: readonly RequestedExtension[], profile: Profile): readonly string[] {
  return requested
    .filter(({ extnID }) => extnID !== objectIdentifiers.subjectAltName)
    .map(({ extnID, extnValue }) => {
      if (extnID === objectIdentifiers.basicConstraints && readBasicConstraints(extnValue).cA) {
        throw new MintmarkError('EXTENSION_NOT_ALLOWED', 'The CSR asks to be a CA (basicConstraints with cA TRUE).');
      }
      const name = profile.ignored.extensions.find((extension) => ignorableExtensions[extension] === extnID);
      if (name !== undefined) return `extension ${name}`;
      throw new MintmarkError(
        'EXTENSION_NOT_ALLOWED',
        `The CSR asks for the extension ${describeObjectIdentifier(extnID)}, which the profile ${profile.name} neither grants nor ignores.`,
      );
    });
}

const nameOfAttribute = (type: string): string =>
  Object.entries(attributeTypes).find(([, identifier]) => identifier === type)?.[0] ?? type;

/** A text from outside, for a sentence: in quotes, escaped, of bounded length. */
const quoted = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
