import { isIP, SocketAddress } from 'node:net';
import { isHostName, isMailbox, isUri, isWildcardName } from '../issuance/index.ts';

/** What is expected of a registered name, for a sentence. */
export const registeredNameForms =
  'DNS:host.example.com, IP:192.0.2.7, URI:spiffe://example.com/pump or email:pump@example.com';

/**
 * A name that a registration may list, in the one way that it is stored: an address as certificates' names are compared
 * (IPv4 dotted, IPv6 as RFC 5952 writes it), the others as they are given.
 * @returns undefined for what cannot stand in a subjectAltName (RFC 5280 section 4.2.1.6)
 */
export function canonicalRegisteredName(text: string): string | undefined {
  const colon = text.indexOf(':');
  const [form, value] = [text.slice(0, colon), text.slice(colon + 1)];
  switch (form) {
    case 'DNS':
      return isHostName(value) || isWildcardName(value) ? text : undefined;
    case 'IP':
      return isIP(value) === 0 || value.includes('%') ? undefined : `IP:${canonicalAddress(value)}`;
    case 'URI':
      return isUri(value) && hasNamedHost(value) ? text : undefined;
    case 'email':
      return isMailbox(value) ? text : undefined;
    default:
      return undefined;
  }
}

const canonicalAddress = (address: string): string =>
  new SocketAddress({ address, family: isIP(address) === 6 ? 'ipv6' : 'ipv4' }).address;

/** Where there is an authority its host is a host name or an address (RFC 5280 section 4.2.1.6). */
function hasNamedHost(uri: string): boolean {
  const authority = /^[^:]+:\/\/([^/?#]*)/.exec(uri)?.[1];
  if (authority === undefined) return true;
  const [, host = '', port = ''] = /^(?:[^@]*@)?(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(authority) ?? [];
  const isAddress = host.startsWith('[') ? isIP(host.slice(1, -1)) === 6 : isIP(host) === 4;
  return (isAddress || isHostName(host)) && Number(port) <= 65_535;
}
