import { describe, expect, it } from 'vitest';
import {
  contextConstructed,
  contextPrimitive,
  objectIdentifier,
  sequence,
  tlv,
  utf8String,
} from '../../shared/asn1/der-writer.ts';
import { readBasicConstraints } from '../../shared/issuance/basic-constraints.ts';
import { parseCertificationRequest } from '../../shared/issuance/certification-request.ts';
import { type GeneralName, readGeneralNames } from '../../shared/issuance/general-names.ts';
import { objectIdentifiers } from '../../shared/issuance/object-identifiers.ts';
import { generateEcKey, makeCsr } from '../fixtures/csr/make.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';

const text = (value: string): Uint8Array => Buffer.from(value, 'latin1');
const key = generateEcKey('P-256');

/** The extnValue that openssl makes of a line of configuration. */
function opensslExtension(line: string, extnID: string, ...more: readonly string[]): Uint8Array {
  const { requestedExtensions } = parseCertificationRequest(makeCsr(key, { extensions: [line, ...more] }));
  const found = requestedExtensions.find((extension) => extension.extnID === extnID);
  if (found === undefined) throw new Error(`openssl made no ${extnID}`);
  return found.extnValue;
}

describe('readGeneralNames', () => {
  it('reads every kind that openssl makes', () => {
    const names = [
      'DNS:device-1.example.com',
      'email:device@example.com',
      'URI:spiffe://example.com/device/1',
      'IP:192.0.2.1',
      'IP:2001:db8::1',
      'IP:::ffff:192.0.2.1',
      'RID:1.2.3.4',
      'otherName:1.3.6.1.5.5.7.8.4;UTF8:serial',
      'dirName:dir',
    ].join(', ');
    const read = readGeneralNames(
      opensslExtension(`subjectAltName = ${names}`, objectIdentifiers.subjectAltName, '[dir]', 'CN = inner'),
    );
    const expected: readonly unknown[] = [
      { kind: 'dNSName', value: 'device-1.example.com' },
      { kind: 'rfc822Name', value: 'device@example.com' },
      { kind: 'uniformResourceIdentifier', value: 'spiffe://example.com/device/1' },
      { kind: 'iPAddress', value: '192.0.2.1' },
      { kind: 'iPAddress', value: '2001:db8::1' },
      { kind: 'iPAddress', value: '::ffff:192.0.2.1' },
      { kind: 'registeredID', value: '1.2.3.4' },
      { kind: 'otherName', typeId: '1.3.6.1.5.5.7.8.4', value: Buffer.from(utf8String('serial')) },
      { kind: 'directoryName', value: [[{ type: '2.5.4.3', value: 'inner' }]] },
    ];
    expect(
      read.map((name) => (name.kind === 'otherName' ? { ...name, value: Buffer.from(name.value) } : name)),
    ).toMatchObject(expected);
  });

  it('keeps names as they were written', () => {
    const names: GeneralName[] = ['*.Example.com.', 'xn--bcher-kva.example', ''].map((value) => ({
      kind: 'dNSName',
      value,
    }));
    const der = sequence(...names.map((name) => contextPrimitive(2, text(String(name.value)))));
    expect(readGeneralNames(der)).toEqual(names);
  });

  it.each([
    ['no name', sequence(), 'CSR_MALFORMED'],
    ['no bytes', new Uint8Array(), 'CSR_MALFORMED'],
    ['no SEQUENCE', contextPrimitive(2, text('a')), 'CSR_MALFORMED'],
    [
      'something after the names',
      Buffer.concat([sequence(contextPrimitive(2, text('a'))), Buffer.of(5, 0)]),
      'CSR_MALFORMED',
    ],
    ['a NUL in a name', sequence(contextPrimitive(2, text('device-1\0.example.com'))), 'CSR_MALFORMED'],
    ['a line feed in a name', sequence(contextPrimitive(6, text('urn:x\ny'))), 'CSR_MALFORMED'],
    ['an eighth bit in a name', sequence(contextPrimitive(2, text('b\u00fccher.example'))), 'CSR_MALFORMED'],
    ['an address of 5 octets', sequence(contextPrimitive(7, text('12345'))), 'CSR_MALFORMED'],
    ['an address with its mask', sequence(contextPrimitive(7, text('12345678'))), 'CSR_MALFORMED'],
    ['an unknown tag', sequence(contextPrimitive(9, text('a'))), 'CSR_MALFORMED'],
    ['a constructed dNSName', sequence(contextConstructed(2, tlv(0x16, text('a')))), 'CSR_MALFORMED'],
    ['otherName without a value', sequence(contextConstructed(0, objectIdentifier('1.2.3'))), 'CSR_MALFORMED'],
    [
      'otherName with BER in it',
      sequence(contextConstructed(0, objectIdentifier('1.2.3'), contextConstructed(0, Buffer.of(4, 0x81, 0)))),
      'CSR_NOT_DER',
    ],
    ['a long form of a short length', Buffer.of(0x30, 0x81, 3, 0x82, 1, 0x61), 'CSR_NOT_DER'],
    ['a name that is cut short', Buffer.of(0x30, 3, 0x82, 2, 0x61), 'CSR_MALFORMED'],
  ])('refuses %s', (_, der, code) => {
    const refusal = refusalOf(() => readGeneralNames(der));
    expect(refusal.code).toBe(code);
    expect(refusal.message).toMatch(/^The subjectAltName in the CSR is .* at byte \d+\.$/);
  });
});

describe('readBasicConstraints', () => {
  it.each([
    ['CA:FALSE', { cA: false }],
    ['CA:TRUE', { cA: true }],
    ['critical, CA:TRUE, pathlen:0', { cA: true, pathLenConstraint: 0 }],
    ['CA:TRUE, pathlen:300', { cA: true, pathLenConstraint: 300 }],
  ])('reads %s', (line, expected) => {
    const der = opensslExtension(`basicConstraints = ${line}`, objectIdentifiers.basicConstraints);
    expect(readBasicConstraints(der)).toEqual(expected);
  });

  it.each([
    ['cA FALSE encoded', '30 03 01 01 00', 'CSR_NOT_DER'],
    ['cA of 01', '30 03 01 01 01', 'CSR_NOT_DER'],
    ['a path length without cA', '30 03 02 01 00', 'CSR_MALFORMED'],
    ['a negative path length', '30 06 01 01 ff 02 01 ff', 'CSR_MALFORMED'],
    ['something after', '30 00 05 00', 'CSR_MALFORMED'],
    ['something inside', '30 08 01 01 ff 02 01 00 05 00', 'CSR_MALFORMED'],
    ['nothing', '', 'CSR_MALFORMED'],
  ])('refuses %s', (_, hex, code) => {
    expect(refusalOf(() => readBasicConstraints(Buffer.from(hex.replaceAll(' ', ''), 'hex'))).code).toBe(code);
  });
});
