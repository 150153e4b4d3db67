import { MintmarkError } from '../errors.ts';
import { readBasicConstraints } from './basic-constraints.ts';
import type { CertificationRequest, RequestedExtension } from './certification-request.ts';
import type { DistinguishedName } from './distinguished-name.ts';
import { type GeneralName, readGeneralNames } from './general-names.ts';
import { describeGranted, type GrantedGeneralName, isSameName } from './granted-name.ts';
import {
  filled,
  formProblem,
  type Grant,
  grantOf,
  grantOfName,
  hasPlaceholder,
  isOfAnotherDevice,
  nameOf,
} from './grants.ts';
import { type IgnoredRequest, summariseIgnored } from './ignored-requests.ts';
import { asksToSignForOthers } from './key-usage.ts';
import { hasSpiffeScheme } from './name-forms.ts';
import { lengthOfNames, longestNames } from './name-lengths.ts';
import { describeObjectIdentifier, objectIdentifiers } from './object-identifiers.ts';
import type { GeneralNameTemplate, GrantableNameTemplate } from './profile/general-names.ts';
import { type AttributeType, attributeTypes, ignorableExtensions, type Profile } from './profile.ts';
import { readRegisteredName } from './registered-name.ts';

export interface GrantedAttribute {
  readonly type: AttributeType;
  readonly value: string;
}

/** The names of a certificate, made from the profile and the device alone. */
export interface GrantedNames {
  readonly subject: readonly GrantedAttribute[];
  readonly subjectAltName: readonly GrantedGeneralName[];
  /** What the CSR asked for and the profile says to leave out, in words, each kind once; it goes into the row. */
  readonly ignored: readonly string[];
}

/** More names than this in one certificate serve nobody, and cost every reader of it: beyond it a CSR chooses none. */
const maximumNames = 100;

/** Each is compared with each that is granted; what honest CSRs ask for is far below. */
const maximumRequestedNames = 200;
const maximumRequestedAttributes = 32;

/**
 * The names that a profile grants a device. The CSR chooses among them, name by name, each once; where the profile names a
 * family (`{label}`, a range of addresses) it chooses a member of it.
 * @param registeredNames what the device's registration lists, such as `DNS:pump-7.example.com`
 * @throws MintmarkError NAME_NOT_ALLOWED, EXTENSION_NOT_ALLOWED
 */
export function grantNames(
  profile: Profile,
  deviceId: string,
  request: Pick<CertificationRequest, 'subject' | 'requestedExtensions'>,
  registeredNames: readonly string[] = [],
): GrantedNames {
  const subject = profile.subject.flatMap((entry) =>
    Object.entries(entry).map(([type, template]) => ({
      type: type as AttributeType,
      value: filled(template, deviceId),
    })),
  );
  const { registered = 'never' } = profile.subjectAltName;
  const ofDevice = registered === 'never' ? [] : registeredNames.map((text) => registeredName(text, deviceId));
  const always = eachOnce([
    ...profile.subjectAltName.always.map((template) => alwaysGranted(template, deviceId, profile)),
    ...(registered === 'always' ? ofDevice : []),
  ]);
  const onRequest = [
    ...grantsOnRequest(profile, deviceId),
    ...(registered === 'onRequest' ? ofDevice.map(grantOfName) : []),
  ];
  const asked = requestedNames(request.requestedExtensions);
  const chosen = chosenNames(asked, always, onRequest, profile);
  refuseOthersBesideSpiffeId(chosen.granted, profile);
  return {
    subject,
    subjectAltName: chosen.granted,
    ignored: summariseIgnored([
      ...ignoredAttributes(request.subject, subject, profile),
      ...ignoredExtensions(request.requestedExtensions, profile),
      ...chosen.ignored,
    ]),
  };
}

/** What a profile itself grants a device on request; a template that this device id cannot be in grants it nothing. */
export const grantsOnRequest = (profile: Profile, deviceId: string): readonly Grant[] =>
  profile.subjectAltName.onRequest.flatMap((template) => grantedOnRequest(template, deviceId, profile) ?? []);

const templatesOf = ({ subjectAltName: { always, onRequest } }: Profile): readonly GrantableNameTemplate[] => [
  ...always,
  ...onRequest,
];

/** @throws MintmarkError NAME_NOT_ALLOWED: a certificate with fewer names than its device is registered for helps nobody */
function registeredName(text: string, deviceId: string): GrantedGeneralName {
  const registered = readRegisteredName(text);
  if (registered !== undefined) return registered.name;
  throw new MintmarkError(
    'NAME_NOT_ALLOWED',
    `The registration of the device ${deviceId} lists ${quoted(text)}, which is no name for a subjectAltName.`,
  );
}

/** The first of those that are the same to who compares them. */
const eachOnce = (names: readonly GrantedGeneralName[]): readonly GrantedGeneralName[] =>
  names.filter((name, index) => names.findIndex((other) => isSameName(name, other)) === index);

function alwaysGranted(template: GeneralNameTemplate, deviceId: string, profile: Profile): GrantedGeneralName {
  const name = nameOf(template, deviceId);
  const [[kind, text] = []] = Object.entries(template);
  if (name === undefined) {
    throw new MintmarkError(
      'NAME_NOT_ALLOWED',
      `The profile ${profile.name} gives every device the ${kind} ${JSON.stringify(text)}, which is none for the device id ${deviceId}.`,
    );
  }
  if (hasPlaceholder(template) && isOfAnotherDevice(name, templatesOf(profile), deviceId)) {
    throw new MintmarkError(
      'NAME_NOT_ALLOWED',
      `The profile ${profile.name} gives every device the ${kind} ${JSON.stringify(text)}, which for the device id ${deviceId} is a name of another device, too.`,
    );
  }
  return name;
}

function grantedOnRequest(template: GrantableNameTemplate, deviceId: string, profile: Profile): Grant | undefined {
  const grant = grantOf(template, deviceId);
  if (grant === undefined || !hasPlaceholder(template)) return grant;
  const templates = templatesOf(profile);
  if (grant.name !== undefined) return isOfAnotherDevice(grant.name, templates, deviceId) ? undefined : grant;
  return {
    description: grant.description,
    nameFor: (requested) => {
      const name = grant.nameFor(requested);
      return name === undefined || isOfAnotherDevice(name, templates, deviceId) ? undefined : name;
    },
  };
}

/** X509-SVID section 2: exactly one URI, so that nobody has to guess who it is. */
function refuseOthersBesideSpiffeId(names: readonly GrantedGeneralName[], profile: Profile): void {
  const uris = names.filter(({ kind }) => kind === 'uniformResourceIdentifier').map(describeGranted);
  if (uris.length < 2 || !names.some((name) => typeof name.value === 'string' && hasSpiffeScheme(name.value))) return;
  throw new MintmarkError(
    'NAME_NOT_ALLOWED',
    `A certificate with a SPIFFE ID has no other URI; of the profile ${profile.name} this one would have ${uris.length}.`,
  );
}

function requestedNames(extensions: readonly RequestedExtension[]): readonly GeneralName[] {
  const extension = extensions.find(({ extnID }) => extnID === objectIdentifiers.subjectAltName);
  return extension === undefined ? [] : readGeneralNames(extension.extnValue);
}

/** What is always granted, then what is granted of the names that the CSR asks for, each once, as the profile lists them. */
function chosenNames(
  asked: readonly GeneralName[],
  always: readonly GrantedGeneralName[],
  onRequest: readonly Grant[],
  profile: Profile,
): { readonly granted: readonly GrantedGeneralName[]; readonly ignored: readonly IgnoredRequest[] } {
  refuseMoreThan(maximumRequestedNames, asked.length, 'names in its subjectAltName');
  const chosen: { readonly place: number; readonly name: GrantedGeneralName }[] = [];
  const ignored: IgnoredRequest[] = [];
  for (const name of asked) {
    if (always.some((candidate) => isSameName(name, candidate))) continue;
    const place = onRequest.findIndex((grant) => grant.nameFor(name) !== undefined);
    const granted = onRequest[place]?.nameFor(name);
    if (granted !== undefined) {
      chosen.push({ place, name: granted });
    } else if (profile.ignored.subjectAltNames?.includes(name.kind) === true) {
      ignored.push({
        kind: `subjectAltName ${name.kind}`,
        ...(typeof name.value === 'string' ? { value: quoted(name.value) } : {}),
      });
    } else {
      throw notGranted(name, always, onRequest, profile);
    }
  }
  const inOrder = chosen.toSorted((one, other) => one.place - other.place);
  const granted = [...always, ...eachOnce(inOrder.map(({ name }) => name))];
  if (granted.length > Math.max(maximumNames, always.length)) {
    throw new MintmarkError(
      'NAME_NOT_ALLOWED',
      `The CSR asks for so many names that the certificate would have ${granted.length}; at most ${maximumNames} are granted.`,
    );
  }
  const length = lengthOfNames(granted);
  if (length > longestNames) {
    throw new MintmarkError(
      'NAME_NOT_ALLOWED',
      `The names that are granted, and that the CSR asks for, have ${length} bytes together; a certificate has at most ${longestNames}.`,
    );
  }
  return { granted, ignored };
}

function refuseMoreThan(maximum: number, count: number, what: string): void {
  if (count <= maximum) return;
  throw new MintmarkError('NAME_NOT_ALLOWED', `The CSR has ${count} ${what}; at most ${maximum} are looked at.`);
}

const describeRequested = (name: GeneralName): string =>
  typeof name.value === 'string' ? `${name.kind} ${quoted(name.value)}` : name.kind;

function notGranted(
  name: GeneralName,
  always: readonly GrantedGeneralName[],
  onRequest: readonly Grant[],
  profile: Profile,
): MintmarkError {
  const names = [...always.map(describeGranted), ...onRequest.map(({ description }) => description)].join(', ');
  const form = formProblem(name);
  return new MintmarkError(
    'NAME_NOT_ALLOWED',
    `The CSR asks for the ${describeRequested(name)} in its subjectAltName${form === undefined ? '' : `, which is ${form}`}; ` +
      `the profile ${profile.name} grants this device ${names}.`,
  );
}

/** Every attribute of the CSR's subject must be one that is granted, or of a type that the profile ignores. */
function ignoredAttributes(
  requested: DistinguishedName,
  granted: readonly GrantedAttribute[],
  profile: Profile,
): readonly IgnoredRequest[] {
  const ignored: IgnoredRequest[] = [];
  const attributes = requested.flat();
  refuseMoreThan(maximumRequestedAttributes, attributes.length, 'attributes in its subject');
  for (const { type, value } of attributes) {
    const isGranted = granted.some((attribute) => attributeTypes[attribute.type] === type && attribute.value === value);
    if (isGranted) continue;
    const name = profile.ignored.subjectAttributes.find((attribute) => attributeTypes[attribute] === type);
    if (name === undefined) {
      throw new MintmarkError(
        'NAME_NOT_ALLOWED',
        `The CSR's subject has ${nameOfAttribute(type)} ${quoted(value)}; the profile ${profile.name} grants this device ` +
          `${granted.map((attribute) => `${attribute.type} ${attribute.value}`).join(', ') || 'a subject without attributes'}.`,
      );
    }
    ignored.push({ kind: `subject ${name}` });
  }
  return ignored;
}

function ignoredExtensions(requested: readonly RequestedExtension[], profile: Profile): readonly IgnoredRequest[] {
  return requested
    .filter(({ extnID }) => extnID !== objectIdentifiers.subjectAltName)
    .map((requestedExtension) => {
      refuseToBeCa(requestedExtension);
      const { extnID } = requestedExtension;
      const name = profile.ignored.extensions.find((extension) => identifierOf(extension) === extnID);
      if (name !== undefined) return { kind: `extension ${name}` };
      throw new MintmarkError(
        'EXTENSION_NOT_ALLOWED',
        `The CSR asks for the extension ${describeObjectIdentifier(extnID)}, which the profile ${profile.name} neither grants nor ignores.`,
      );
    });
}

const identifierOf = (extension: string): string =>
  Object.hasOwn(ignorableExtensions, extension)
    ? ignorableExtensions[extension as keyof typeof ignorableExtensions]
    : extension;

/** Not ignored, whatever the profile says: who asks to be a CA would take the certificate for one. */
function refuseToBeCa({ extnID, extnValue }: RequestedExtension): void {
  if (extnID === objectIdentifiers.basicConstraints && readBasicConstraints(extnValue).cA) {
    throw new MintmarkError('EXTENSION_NOT_ALLOWED', 'The CSR asks to be a CA (basicConstraints with cA TRUE).');
  }
  if (extnID === objectIdentifiers.keyUsage && asksToSignForOthers(extnValue)) {
    throw new MintmarkError('EXTENSION_NOT_ALLOWED', "The CSR asks for a CA's key usages (keyCertSign or cRLSign).");
  }
}

const nameOfAttribute = (type: string): string =>
  Object.entries(attributeTypes).find(([, identifier]) => identifier === type)?.[0] ?? type;

/** A text from outside, for a sentence: in quotes, escaped, of bounded length. */
const quoted = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
