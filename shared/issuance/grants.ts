import type { GeneralName } from './general-names.ts';
import {
  describeGranted,
  type GrantedGeneralName,
  hardwareModuleName,
  isSameName,
  otherName,
  permanentIdentifier,
} from './granted-name.ts';
import { parseAddress, readAddressRange } from './ip-addresses.ts';
import { deviceIdPattern, longestDeviceIdLength } from './message.ts';
import { isHostName, isMailbox, isUri, isWildcardName, longestUri } from './name-forms.ts';
import { matchTemplate, type TextKind, takesDeviceId } from './name-pattern.ts';
import type { GeneralNameTemplate, GrantableNameTemplate } from './profile/general-names.ts';
import { deviceIdPlaceholder, labelPlaceholder } from './profile/texts.ts';

/** What a profile's subjectAltName, or a device's registration, grants on request. */
export interface Grant {
  /** For a sentence: what may be asked for. */
  readonly description: string;
  /** The one name that there is to ask for; a family has none. */
  readonly name?: GrantedGeneralName;
  /** The name as it goes into the certificate where the CSR asks for this one; undefined where it is not granted. */
  readonly nameFor: (requested: GeneralName) => GrantedGeneralName | undefined;
}

export const filled = (template: string, deviceId: string): string =>
  template.replaceAll(deviceIdPlaceholder, deviceId);

/** The one name that a template stands for; undefined where this device id cannot be in it. */
export function nameOf(template: GeneralNameTemplate, deviceId: string): GrantedGeneralName | undefined {
  const text = textOf(template);
  if (text !== undefined) return textNameOf(text, deviceId);
  if (template.hardwareModuleName !== undefined) {
    const { hwType, hwSerialNum } = template.hardwareModuleName;
    return hardwareModuleName(hwType, filled(hwSerialNum, deviceId));
  }
  if (template.permanentIdentifier !== undefined) {
    const { identifierValue, assigner } = template.permanentIdentifier;
    return permanentIdentifier(filled(identifierValue, deviceId), assigner);
  }
  return template.otherName === undefined
    ? undefined
    : otherName(template.otherName.typeId, filled(template.otherName.utf8String, deviceId));
}

interface TextTemplate {
  readonly kind: TextKind;
  readonly template: string;
}

function textOf({
  dNSName,
  uniformResourceIdentifier,
  rfc822Name,
}: Pick<GrantableNameTemplate, TextKind>): TextTemplate | undefined {
  if (dNSName !== undefined) return { kind: 'dNSName', template: dNSName };
  if (uniformResourceIdentifier !== undefined) {
    return { kind: 'uniformResourceIdentifier', template: uniformResourceIdentifier };
  }
  return rfc822Name === undefined ? undefined : { kind: 'rfc822Name', template: rfc822Name };
}

/** As `nameOf`, of the longest device id, whether or not it can be in a host name: nothing that a template makes is longer. */
export function longestNameOf(template: GeneralNameTemplate): GrantedGeneralName | undefined {
  const longestDeviceId = 'x'.repeat(longestDeviceIdLength);
  const text = textOf(template);
  return text === undefined
    ? nameOf(template, longestDeviceId)
    : { kind: text.kind, value: filled(text.template, longestDeviceId) };
}

/** A device id need not be what a name is made of; where it is not, there is no such name to grant. */
function textNameOf({ kind, template }: TextTemplate, deviceId: string): GrantedGeneralName | undefined {
  const value = filled(template, deviceId);
  const isName = isOfForm[kind](value) || (kind === 'dNSName' && template.startsWith('*.') && isWildcardName(value));
  return takesDeviceId(kind, template, deviceId) && isName ? { kind, value } : undefined;
}

/** A template of one name; of what is a range of addresses nothing is left. */
export function withoutRange(template: GrantableNameTemplate): GeneralNameTemplate {
  const { iPAddress: _, shared: _shared, ...one } = template;
  return one;
}

const isOfForm = {
  dNSName: isHostName,
  uniformResourceIdentifier: isUri,
  rfc822Name: isMailbox,
} as const satisfies Record<TextKind, (value: string) => boolean>;

/** What a name is not, for a sentence: none of its kind that could be in a certificate is granted; undefined where it is one. */
export function formProblem({ kind, value }: GeneralName): string | undefined {
  switch (kind) {
    case 'dNSName':
      return isHostName(value) || isWildcardName(value) ? undefined : 'no host name';
    case 'uniformResourceIdentifier':
      return isUri(value) ? undefined : 'no absolute URI of its scheme';
    case 'rfc822Name':
      return isMailbox(value) ? undefined : 'no mailbox';
    default:
      return undefined;
  }
}

/** What a template grants; undefined where this device id cannot be in it. */
export function grantOf(template: GrantableNameTemplate, deviceId: string): Grant | undefined {
  if (template.iPAddress !== undefined) return addressGrant(template.iPAddress);
  const text = textOf(template);
  if (text?.template.includes(labelPlaceholder) === true) {
    return takesDeviceId(text.kind, text.template, deviceId) ? labelGrant(text, deviceId) : undefined;
  }
  const name = nameOf(withoutRange(template), deviceId);
  return name === undefined ? undefined : grantOfName(name);
}

/**
 * Whether one of the templates makes this name of another device's id: then it is that device's, and nobody else's. With
 * `{deviceId}.example.com` beside `{label}.example.com` nobody chooses another device's id for the label.
 */
export function isOfAnotherDevice(
  name: GrantedGeneralName,
  templates: readonly GrantableNameTemplate[],
  deviceId: string,
): boolean {
  return templates.some((each) => {
    const owner = name.kind === 'otherName' ? ownerByOtherName(name, each) : ownerByText(name, each);
    return owner !== undefined && owner !== deviceId && deviceIdPattern.test(owner);
  });
}

/** The device id that a template makes this name of; undefined where it makes it of none. */
function ownerByText(
  name: Exclude<GrantedGeneralName, { kind: 'otherName' }>,
  template: GrantableNameTemplate,
): string | undefined {
  const text = textOf(template);
  if (text === undefined || text.kind !== name.kind) return undefined;
  const owner = matchTemplate(text.kind, text.template, name.value)?.deviceId;
  return owner !== undefined && takesDeviceId(text.kind, text.template, owner) ? owner : undefined;
}

/** An otherName's text has no pieces: where its length leaves a device id, the name that is made of that one decides. */
function ownerByOtherName(
  name: GrantedGeneralName & { kind: 'otherName' },
  grantable: GrantableNameTemplate,
): string | undefined {
  const template = withoutRange(grantable);
  const unfilled = nameOf(template, deviceIdPlaceholder);
  if (unfilled?.kind !== 'otherName') return undefined;
  const [before = '', ...others] = unfilled.text.split(deviceIdPlaceholder);
  if (others.length === 0) return undefined;
  const length = (name.text.length - before.length - others.join('').length) / others.length;
  if (!Number.isInteger(length) || length < 1) return undefined;
  const owner = name.text.slice(before.length, before.length + length);
  const made = nameOf(template, owner);
  return made !== undefined && isSameName(name, made) ? owner : undefined;
}

/** What a template without one stands for is everybody's by the profile's own words. */
export function hasPlaceholder(template: GrantableNameTemplate): boolean {
  const { hardwareModuleName: hardware, permanentIdentifier: permanent, otherName: other } = template;
  const text =
    textOf(template)?.template ?? hardware?.hwSerialNum ?? permanent?.identifierValue ?? other?.utf8String ?? '';
  return text.includes(deviceIdPlaceholder) || text.includes(labelPlaceholder);
}

/** The certificate gets the name as it is granted, however the CSR spells it. */
export const grantOfName = (name: GrantedGeneralName): Grant => ({
  description: describeGranted(name),
  name,
  nameFor: (requested) => (isSameName(requested, name) ? name : undefined),
});

/** Any name of the template: each `{label}` one label of a host name, or one segment of a path. */
function labelGrant({ kind, template }: TextTemplate, deviceId: string): Grant {
  const own = filled(template, deviceId);
  return {
    description: `${kind} ${own}`,
    nameFor: (requested) => {
      if (requested.kind !== kind || requested.value.length > longestUri) return undefined;
      const value = kind === 'dNSName' ? requested.value.toLowerCase() : requested.value;
      return isOfForm[kind](value) && matchTemplate(kind, own, value) !== undefined ? { kind, value } : undefined;
    },
  };
}

/**
 * Any address of the range that is of the range's kind: of that of its ends where they are of one (RFC 6890: private,
 * loopback, link-local and so on), else a public unicast address. 0.0.0.0/0 grants neither 10.0.0.1 nor 0.0.0.0.
 */
function addressGrant(text: string): Grant | undefined {
  const range = readAddressRange(text);
  if (range === undefined) return undefined;
  return {
    description: `iPAddress ${text}`,
    nameFor: (requested) => {
      if (requested.kind !== 'iPAddress') return undefined;
      const address = parseAddress(requested.value);
      return range.includes(address) && address.range() === range.kind
        ? { kind: 'iPAddress', value: requested.value }
        : undefined;
    },
  };
}
