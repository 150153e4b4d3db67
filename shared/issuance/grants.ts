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
import { deviceIdPattern } from './message.ts';
import { isHostName, isMailbox, isUri, isWildcardName, longestUri } from './name-forms.ts';
import { matchTemplate, type TextKind, takesDeviceId } from './name-pattern.ts';
import type { GeneralNameTemplate, GrantableNameTemplate } from './profile/general-names.ts';
import { deviceIdPlaceholder, labelPlaceholder } from './profile/texts.ts';

/** What a profile's subjectAltName, or a device's registration, grants on request. */
export interface Grant {
  /** For a sentence: what may be asked for. */
  readonly description: string;
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

/** A device id need not be what a name is made of; where it is not, there is no such name to grant. */
function textNameOf({ kind, template }: TextTemplate, deviceId: string): GrantedGeneralName | undefined {
  const value = filled(template, deviceId);
  const isName = isOfForm[kind](value) || (kind === 'dNSName' && template.startsWith('*.') && isWildcardName(value));
  return takesDeviceId(kind, template, deviceId) && isName ? { kind, value } : undefined;
}

const isOfForm = {
  dNSName: isHostName,
  uniformResourceIdentifier: isUri,
  rfc822Name: isMailbox,
} as const satisfies Record<TextKind, (value: string) => boolean>;

/** What a template grants; undefined where this device id cannot be in it. */
export function grantOf(template: GrantableNameTemplate, deviceId: string): Grant | undefined {
  if (template.iPAddress !== undefined) return addressGrant(template.iPAddress);
  const text = textOf(template);
  if (text?.template.includes(labelPlaceholder) === true) {
    return takesDeviceId(text.kind, text.template, deviceId) ? labelGrant(text, deviceId) : undefined;
  }
  const { iPAddress: _, ...exact } = template;
  const name = nameOf(exact, deviceId);
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
    const text = textOf(each);
    if (text === undefined || text.kind !== name.kind) return false;
    const owner = matchTemplate(text.kind, text.template, name.value)?.deviceId;
    return (
      owner !== undefined &&
      owner !== deviceId &&
      deviceIdPattern.test(owner) &&
      takesDeviceId(text.kind, text.template, owner)
    );
  });
}

/** What a template without one stands for is everybody's by the profile's own words. */
export function hasPlaceholder(template: GrantableNameTemplate): boolean {
  const text = textOf(template)?.template ?? '';
  return text.includes(deviceIdPlaceholder) || text.includes(labelPlaceholder);
}

/** The certificate gets the name as it is granted, however the CSR spells it. */
export const grantOfName = (name: GrantedGeneralName): Grant => ({
  description: describeGranted(name),
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
