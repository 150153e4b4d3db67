import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { GeneralName } from './general-names.ts';
import {
  describeGranted,
  type GrantedGeneralName,
  hardwareModuleName,
  isSameName,
  otherName,
  permanentIdentifier,
} from './granted-name.ts';
import { isHostName, isMailbox, isPathSegment, isUri, isWildcardName } from './name-forms.ts';
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
  const { dNSName, uniformResourceIdentifier, rfc822Name } = template;
  if (dNSName !== undefined) {
    const value = filled(dNSName, deviceId);
    // A device id need not be a host name; where it is not, there is no such name to grant.
    const isOne = isHostName(value) || (dNSName.startsWith('*.') && isWildcardName(value));
    return isOne ? { kind: 'dNSName', value } : undefined;
  }
  if (uniformResourceIdentifier !== undefined) {
    return { kind: 'uniformResourceIdentifier', value: filled(uniformResourceIdentifier, deviceId) };
  }
  if (rfc822Name !== undefined) {
    const value = filled(rfc822Name, deviceId);
    return isMailbox(value) ? { kind: 'rfc822Name', value } : undefined;
  }
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

/** What a template grants; undefined where this device id cannot be in it. */
export function grantOf(template: GrantableNameTemplate, deviceId: string): Grant | undefined {
  if (template.iPAddress !== undefined) return addressGrant(template.iPAddress);
  if (template.dNSName?.includes(labelPlaceholder) === true) {
    return labelGrant('dNSName', filled(template.dNSName, deviceId));
  }
  if (template.uniformResourceIdentifier?.includes(labelPlaceholder) === true) {
    return labelGrant('uniformResourceIdentifier', filled(template.uniformResourceIdentifier, deviceId));
  }
  const { iPAddress: _, ...exact } = template;
  const name = nameOf(exact, deviceId);
  return name === undefined ? undefined : grantOfName(name);
}

/** The certificate gets the name as it is granted, however the CSR spells it. */
export const grantOfName = (name: GrantedGeneralName): Grant => ({
  description: describeGranted(name),
  nameFor: (requested) => (isSameName(requested, name) ? name : undefined),
});

/** Any name of the pattern, each placeholder one label or one segment. */
function labelGrant(kind: 'dNSName' | 'uniformResourceIdentifier', pattern: string): Grant {
  const isDnsName = kind === 'dNSName';
  const parts = pattern.split(labelPlaceholder).map((part) => RegExp.escape(isDnsName ? part.toLowerCase() : part));
  const expression = new RegExp(`^${parts.join('([A-Za-z0-9._-]+)')}$`);
  return {
    description: `${kind} ${pattern}`,
    nameFor: (requested) => {
      if (requested.kind !== kind) return undefined;
      const value = isDnsName ? requested.value.toLowerCase() : requested.value;
      const labels = expression.exec(value)?.slice(1);
      const isGood = isDnsName
        ? isHostName(value) && labels?.every((label) => !label.includes('.'))
        : labels?.every(isPathSegment);
      return isGood === true ? { kind, value } : undefined;
    },
  };
}

/**
 * Any address of the range. One that is not a public unicast address (RFC 6890: private, loopback, link-local and so on)
 * only by a range of that same kind: 0.0.0.0/0 grants no 10.0.0.1.
 */
function addressGrant(range: string): Grant {
  const [network, prefixLength] = ipaddr.parseCIDR(range);
  return {
    description: `iPAddress ${range}`,
    nameFor: (requested) => {
      if (requested.kind !== 'iPAddress') return undefined;
      const address = ipaddr.parse(requested.value);
      const isIn = address.kind() === network.kind() && address.match(network, prefixLength);
      const isItsKind = address.range() === 'unicast' || address.range() === network.range();
      return isIn && isItsKind ? { kind: 'iPAddress', value: requested.value } : undefined;
    },
  };
}

const registeredForms = {
  DNS: ({ value }) => (isHostName(value) || isWildcardName(value) ? { kind: 'dNSName', value } : undefined),
  // ipaddr.js also takes addresses of fewer parts, and hexadecimal ones.
  IP: ({ value }) => (isIP(value) === 0 ? undefined : { kind: 'iPAddress', value: ipaddr.parse(value).toString() }),
  URI: ({ value }) => (isUri(value) ? { kind: 'uniformResourceIdentifier', value } : undefined),
  email: ({ value }) => (isMailbox(value) ? { kind: 'rfc822Name', value } : undefined),
} as const satisfies Record<string, (name: { readonly value: string }) => GrantedGeneralName | undefined>;

/** A name of a device's registration, such as `DNS:pump-7.example.com`; undefined for what is not one. */
export function registeredName(text: string): GrantedGeneralName | undefined {
  const [form = '', ...rest] = text.split(':');
  if (!Object.hasOwn(registeredForms, form)) return undefined;
  return registeredForms[form as keyof typeof registeredForms]({ value: rest.join(':') });
}
