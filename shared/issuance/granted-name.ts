import {
  contextConstructed,
  contextPrimitive,
  objectIdentifier,
  octetString,
  sequence,
  utf8String,
} from '../asn1/index.ts';
import type { GeneralName } from './general-names.ts';
import { octetsOf } from './ip-addresses.ts';

/** A name that is granted: it goes into the certificate as it is. */
export type GrantedGeneralName =
  | {
      readonly kind: 'uniformResourceIdentifier' | 'dNSName' | 'rfc822Name';
      readonly value: string;
    }
  /** IPv4 dotted, IPv6 as RFC 5952 writes it. */
  | { readonly kind: 'iPAddress'; readonly value: string }
  /** `value` is DER, `text` what it says. */
  | { readonly kind: 'otherName'; readonly typeId: string; readonly value: Uint8Array; readonly text: string };

/** id-on-hardwareModuleName (RFC 4108 section 5): HardwareModuleName ::= SEQUENCE { hwType, hwSerialNum OCTET STRING }. */
export const hardwareModuleName = (hwType: string, hwSerialNum: string): GrantedGeneralName => ({
  kind: 'otherName',
  typeId: '1.3.6.1.5.5.7.8.4',
  value: sequence(objectIdentifier(hwType), octetString(new TextEncoder().encode(hwSerialNum))),
  text: `hardwareModuleName ${hwType} ${hwSerialNum}`,
});

/** id-on-permanentIdentifier (RFC 4043): PermanentIdentifier ::= SEQUENCE { identifierValue UTF8String, assigner OPTIONAL }. */
export const permanentIdentifier = (identifierValue: string, assigner: string | undefined): GrantedGeneralName => ({
  kind: 'otherName',
  typeId: '1.3.6.1.5.5.7.8.3',
  value: sequence(utf8String(identifierValue), ...(assigner === undefined ? [] : [objectIdentifier(assigner)])),
  text: `permanentIdentifier ${identifierValue}${assigner === undefined ? '' : ` of ${assigner}`}`,
});

export const otherName = (typeId: string, text: string): GrantedGeneralName => ({
  kind: 'otherName',
  typeId,
  value: utf8String(text),
  text: `otherName ${typeId} ${text}`,
});

/**
 * GeneralName (RFC 5280 section 4.2.1.6): rfc822Name [1], dNSName [2] and uniformResourceIdentifier [6] are IA5String,
 * iPAddress [7] is 4 or 16 octets, otherName [0] a type and its value.
 */
export function encodeGeneralName(name: GrantedGeneralName): Uint8Array {
  switch (name.kind) {
    case 'otherName':
      return contextConstructed(0, objectIdentifier(name.typeId), contextConstructed(0, name.value));
    case 'iPAddress':
      return contextPrimitive(7, octetsOf(name.value));
    case 'rfc822Name':
      return contextPrimitive(1, new TextEncoder().encode(name.value));
    case 'dNSName':
      return contextPrimitive(2, new TextEncoder().encode(name.value));
    case 'uniformResourceIdentifier':
      return contextPrimitive(6, new TextEncoder().encode(name.value));
  }
}

/**
 * DNS names compare without case, mailboxes in their host part (RFC 5280 section 7), addresses by their octets, the
 * others as they are written.
 */
export function isSameName(requested: GeneralName, granted: GrantedGeneralName): boolean {
  switch (granted.kind) {
    case 'dNSName':
      return requested.kind === granted.kind && requested.value.toLowerCase() === granted.value.toLowerCase();
    case 'rfc822Name':
      return requested.kind === granted.kind && lowerCaseHost(requested.value) === lowerCaseHost(granted.value);
    case 'iPAddress':
      return (
        requested.kind === granted.kind && Buffer.compare(octetsOf(requested.value), octetsOf(granted.value)) === 0
      );
    case 'otherName':
      return (
        requested.kind === granted.kind &&
        requested.typeId === granted.typeId &&
        Buffer.compare(requested.value, granted.value) === 0
      );
    default:
      return requested.kind === granted.kind && requested.value === granted.value;
  }
}

const lowerCaseHost = (mailbox: string): string => {
  const at = mailbox.lastIndexOf('@') + 1;
  return mailbox.slice(0, at) + mailbox.slice(at).toLowerCase();
};

/** For a sentence. */
export const describeGranted = (name: GrantedGeneralName): string =>
  name.kind === 'otherName' ? name.text : `${name.kind} ${name.value}`;
