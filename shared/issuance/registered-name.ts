import { SocketAddress } from 'node:net';
import type { GrantedGeneralName } from './granted-name.ts';
import { isAddress } from './ip-addresses.ts';
import { isHostName, isMailbox, isUri, isWildcardName } from './name-forms.ts';

/** A name as a device's registration has it, and as what it goes into a certificate. */
export interface RegisteredName {
  /** The one way in which it is stored: an address as a CSR's are read (IPv6 as RFC 5952 writes it), others as given. */
  readonly canonical: string;
  readonly name: GrantedGeneralName;
}

/**
 * Reads a name that a registration lists, such as `DNS:pump-7.example.com`.
 * @returns undefined for what cannot stand in a subjectAltName (RFC 5280 section 4.2.1.6)
 */
export function readRegisteredName(text: string): RegisteredName | undefined {
  const colon = text.indexOf(':');
  const [form, value] = [text.slice(0, colon), text.slice(colon + 1)];
  switch (form) {
    case 'DNS':
      return isHostName(value) || isWildcardName(value)
        ? { canonical: text, name: { kind: 'dNSName', value } }
        : undefined;
    case 'IP': {
      if (!isAddress(value)) return undefined;
      const address = canonicalAddress(value);
      return { canonical: `IP:${address}`, name: { kind: 'iPAddress', value: address } };
    }
    case 'URI':
      return isUri(value) ? { canonical: text, name: { kind: 'uniformResourceIdentifier', value } } : undefined;
    case 'email':
      return isMailbox(value) ? { canonical: text, name: { kind: 'rfc822Name', value } } : undefined;
    default:
      return undefined;
  }
}

const canonicalAddress = (address: string): string =>
  new SocketAddress({ address, family: address.includes(':') ? 'ipv6' : 'ipv4' }).address;
