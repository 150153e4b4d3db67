import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Addresses and ranges of them in their strict forms alone: no octal, hexadecimal or missing parts, no zone. */

type Address = ReturnType<typeof ipaddr.parse>;

export const isAddress = (text: string): boolean => isIP(text) !== 0 && !text.includes('%');

/** @param text what isAddress holds for */
export function parseAddress(text: string): Address {
  if (!text.includes(':')) return ipaddr.parse(text);
  // ipaddr.js takes every IPv6 address that ends in a dotted quad, also ::10.0.0.1, for an IPv4-mapped one.
  const inHex = text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  return ipaddr.parse(inHex);
}

/** 4 or 16 of them, in network order. */
export const octetsOf = (text: string): Uint8Array => Uint8Array.from(parseAddress(text).toByteArray());

export interface AddressRange {
  readonly includes: (address: Address) => boolean;
  /** The kind (RFC 6890, in ipaddr.js's words) of the addresses that it stands for: its ends', where they are of one. */
  readonly kind: string;
  readonly isOneAddress: boolean;
  /** Its first address, its last, and one between them. */
  readonly samples: readonly string[];
}

/** A range such as 192.0.2.0/24; undefined for what is none, and where bits beyond the prefix are set. */
export function readAddressRange(text: string): AddressRange | undefined {
  const [address = '', length = '', ...rest] = text.split('/');
  if (rest.length > 0 || !isAddress(address) || !/^(?:0|[1-9][0-9]{0,2})$/.test(length)) return undefined;
  const first = parseAddress(address);
  const octets = first.toByteArray();
  const prefixLength = Number(length);
  if (prefixLength > octets.length * 8) return undefined;
  const hostBits = (index: number) => 0xff >> Math.min(Math.max(prefixLength - index * 8, 0), 8);
  if (octets.some((octet, index) => (octet & hostBits(index)) !== 0)) return undefined;
  const last = ipaddr.fromByteArray(octets.map((octet, index) => octet | hostBits(index)));
  const between = ipaddr.fromByteArray(octets.map((octet, index) => octet | ((hostBits(index) + 1) >> 1)));
  return {
    includes: (each) => each.kind() === first.kind() && each.match(first, prefixLength),
    kind: first.range() === last.range() ? first.range() : 'unicast',
    isOneAddress: prefixLength === octets.length * 8,
    samples: [first, last, between].map(String),
  };
}
