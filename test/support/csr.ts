import { generateKeyPairSync } from 'node:crypto';
import {
  contextConstructed,
  contextPrimitive,
  objectIdentifier,
  sequence,
  setOf,
  utf8String,
} from '../../shared/asn1/der-writer.ts';
import { type CertificationRequest, parseCertificationRequest } from '../../shared/issuance/certification-request.ts';
import { objectIdentifiers } from '../../shared/issuance/object-identifiers.ts';
import { extension, extensionRequest, handMakeCsr } from '../fixtures/csr/make.ts';

/** A P-256 key, PEM. */
export const newPrivateKey = (): string =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

/** Dotted type and value; each an RDN of its own. */
export type SubjectAttribute = readonly [type: string, value: string];

export interface CsrContents {
  readonly subject?: readonly SubjectAttribute[];
  /** GeneralName TLVs of a subjectAltName. */
  readonly names?: readonly Uint8Array[];
  /** Extension TLVs besides. */
  readonly extensions?: readonly Uint8Array[];
}

export const dNSName = (value: string): Uint8Array => contextPrimitive(2, Buffer.from(value, 'latin1'));
export const uniformResourceIdentifier = (value: string): Uint8Array =>
  contextPrimitive(6, Buffer.from(value, 'latin1'));

/** DER of a CSR, signed anew each time: two of the same contents differ in their signatures alone. */
export function makeRequest(
  privateKey: string,
  { subject = [], names = [], extensions = [] }: CsrContents = {},
): Uint8Array {
  const all = [
    ...(names.length === 0 ? [] : [extension(objectIdentifiers.subjectAltName, sequence(...names))]),
    ...extensions,
  ];
  return handMakeCsr(privateKey, {
    subject: sequence(...subject.map(([type, value]) => setOf(sequence(objectIdentifier(type), utf8String(value))))),
    attributes: all.length === 0 ? [contextConstructed(0)] : extensionRequest(...all),
  });
}

export const readRequest = (privateKey: string, contents: CsrContents = {}): CertificationRequest =>
  parseCertificationRequest(makeRequest(privateKey, contents));
