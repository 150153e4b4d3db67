import { MintmarkError } from '../../../shared/errors.ts';
import { objectIdentifiers } from '../../../shared/issuance/object-identifiers.ts';
import type { OurReading, Verdicts } from './verdicts.ts';

/** A request that one of the three refuses and another takes. */
export interface Divergence {
  readonly by: 'Mintmark' | 'pyca/cryptography' | 'openssl';
  /** Of Mintmark's refusals; else `-`. */
  readonly code: string;
  /** Which part of the request is found fault with; `-` where only the sentence says it. */
  readonly where: Where;
  readonly message: string;
}

export type Where =
  | '-'
  | 'subject'
  | 'SubjectPublicKeyInfo'
  | 'attributes'
  /** The first attribute that requests extensions: the one whose extensions pyca/cryptography gives out. */
  | 'extensionRequest'
  | 'another attribute'
  | 'subjectAltName'
  | 'basicConstraints'
  /** Whether it is granted or ignored depends on its type alone. */
  | 'another extension'
  | 'signatureAlgorithm'
  | 'elsewhere';

interface Element {
  readonly start: number;
  readonly contents: number;
  readonly end: number;
}

/** The elements one after another from `start` to `end`; none from where a length is indefinite or too large. */
function elements(der: Buffer, start: number, end: number): Element[] {
  const found: Element[] = [];
  for (let at = start; at + 2 <= end; ) {
    const first = der[at + 1] ?? 0;
    const octets = first < 0x80 ? 0 : first & 0x7f;
    if (first === 0x80 || octets > 4 || at + 2 + octets > end) return found;
    const contents = at + 2 + octets;
    const elementEnd = contents + (octets === 0 ? first : der.readUIntBE(at + 2, octets));
    if (elementEnd > end) return found;
    found.push({ start: at, contents, end: elementEnd });
    at = elementEnd;
  }
  return found;
}

const inside = (der: Buffer, element: Element | undefined): Element[] =>
  element === undefined ? [] : elements(der, element.contents, element.end);

const extensionRequestTypes: ReadonlySet<string> = new Set([
  '06092a864886f70d01090e',
  // Microsoft's.
  '060a2b06010401823702010e',
]);

/** Which part of a request holds the octet. */
function partAt(der: Buffer, offset: number): Where {
  const holds = (element: Element | undefined): boolean =>
    element !== undefined && element.start <= offset && offset < element.end;
  const [request] = elements(der, 0, der.length);
  const [info, signatureAlgorithm] = inside(der, request);
  const [, subject, subjectPublicKeyInfo, attributes] = inside(der, info);
  if (holds(subject)) return 'subject';
  if (holds(subjectPublicKeyInfo)) return 'SubjectPublicKeyInfo';
  if (holds(signatureAlgorithm)) return 'signatureAlgorithm';
  if (!holds(attributes)) return 'elsewhere';
  const each = inside(der, attributes);
  const first = each.find((attribute) => {
    const [type] = inside(der, attribute);
    return type !== undefined && extensionRequestTypes.has(der.subarray(type.start, type.end).toString('hex'));
  });
  const holding = each.find(holds);
  if (holding === undefined) return 'attributes';
  return holding === first ? 'extensionRequest' : 'another attribute';
}

/** @param message a refusal of Mintmark */
function whereOf(der: Buffer, { message }: MintmarkError): Where {
  const [, subject, offset] = /^The (CSR|subjectAltName|basicConstraints)\b.* at byte (\d+)\.$/.exec(message) ?? [];
  // What is missing is missed where the part ends, and the next one starts.
  if (subject === 'CSR') return partAt(der, Number(offset) - (/: a missing |without a value/.test(message) ? 1 : 0));
  return subject === 'subjectAltName' || subject === 'basicConstraints' ? subject : '-';
}

/** Of what we take, the extensions whose values we look at. */
const readExtensions: ReadonlySet<string> = new Set([
  objectIdentifiers.subjectAltName,
  objectIdentifiers.basicConstraints,
]);

/** Where pyca/cryptography may find a fault in what we take: in an extension that nobody here reads, if there is one. */
function whereNotRead({ request }: OurReading): Where {
  const isRead = request.requestedExtensions.every(({ extnID }) => readExtensions.has(extnID));
  return isRead ? 'subjectAltName' : 'another extension';
}

/** That both refuse what we accept must never be. */
export type Agreement = 'all accept' | 'all refuse' | 'we and one refuse' | 'both refuse, we accept' | Divergence;

/** @returns the divergence that asks for a reason, or how the three stand */
export function compareVerdicts(der: Buffer, ours: OurReading | MintmarkError, { pyca, openssl }: Verdicts): Agreement {
  const pycaRefuses = 'refused' in pyca;
  const opensslRefuses = 'refused' in openssl;
  if (ours instanceof MintmarkError) {
    if (pycaRefuses && opensslRefuses) return 'all refuse';
    if (pycaRefuses || opensslRefuses) return 'we and one refuse';
    return { by: 'Mintmark', code: ours.code, where: whereOf(der, ours), message: ours.message };
  }
  if (pycaRefuses && opensslRefuses) return 'both refuse, we accept';
  if (pycaRefuses) {
    return { by: 'pyca/cryptography', code: '-', where: whereNotRead(ours), message: pyca.refused };
  }
  if (opensslRefuses) return { by: 'openssl', code: '-', where: '-', message: openssl.refused };
  return 'all accept';
}
