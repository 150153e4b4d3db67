import { createHash } from 'node:crypto';
import { CertificationRequest as PeculiarCertificationRequest } from '@peculiar/asn1-csr';
import { AsnConvert } from '@peculiar/asn1-schema';
import { describe, expect, it } from 'vitest';
import {
  boolean,
  contextConstructed,
  nullValue,
  objectIdentifier,
  octetString,
  printableString,
  sequence,
  setOf,
  tlv,
  unsignedInteger,
  utf8String,
} from '../../shared/asn1/der-writer.ts';
import { decodeCsr, maximumCsrBytes, parseCertificationRequest } from '../../shared/issuance/certification-request.ts';
import { objectIdentifiers } from '../../shared/issuance/object-identifiers.ts';
import { checkPublicKey } from '../../shared/issuance/public-key.ts';
import {
  attribute,
  commonName,
  extension,
  extensionRequest,
  generateEcKey,
  generateEd25519Key,
  generateKey,
  generateRsaKey,
  type HandMade,
  handMakeCsr,
  makeCsr,
  openssl,
  pem,
  signInfo,
} from '../fixtures/csr/make.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';

const ecKey = generateEcKey('P-256');
const rsaKey = generateRsaKey(2048);
// Long enough that its outer length takes two octets whatever the signature's length is.
const good = makeCsr(ecKey, {
  subject: `/O=${'long'.repeat(16)}/CN=device-1`,
  extensions: ['subjectAltName = DNS:device-1.example'],
});
const subjectAltName = extension(objectIdentifiers.subjectAltName, sequence(tlv(0x82, Buffer.from('a.example'))));

const cn = (value: string): Uint8Array => sequence(objectIdentifier('2.5.4.3'), utf8String(value));
const ou = (value: string): Uint8Array => sequence(objectIdentifier('2.5.4.11'), utf8String(value));

const parse = (der: Uint8Array) => parseCertificationRequest(der);
const codeOf = (der: Uint8Array): string => refusalOf(() => parse(der)).code;
const codeOfParts = (parts: HandMade): string => codeOf(handMakeCsr(ecKey, parts));

describe('decodeCsr', () => {
  const text = pem(good);
  const base64 = good.toString('base64');

  it.each([
    ['PEM', text],
    ['PEM with CRLF', text.replaceAll('\n', '\r\n')],
    ['PEM of the older label', pem(good, 'NEW CERTIFICATE REQUEST')],
    ['PEM after a byte order mark', `\uFEFF${text}`],
    ['PEM without a newline at its end', text.trimEnd()],
    ['PEM of one long line', text.replaceAll(/(?<![-])\n(?![-])/g, '')],
    ["PEM with openssl's explanation", openssl(['req', '-text', '-inform', 'DER'], good).toString()],
    ['PEM with text after it', `${text}\nSent by the gateway.\n`],
    ['base64', base64],
    ['base64 in lines', base64.replaceAll(/.{40}/g, '$&\r\n')],
  ])('decodes %s', (_, csr) => {
    expect(Buffer.from(decodeCsr(csr))).toEqual(good);
  });

  it.each([
    ['nothing', ''],
    ['white space', ' \n'],
    ['something else', 'this is not a certificate request'],
    ['hex', good.toString('hex').slice(1)],
    ['base64url', `${base64.slice(0, 8)}-_${base64.slice(10)}`],
    ['base64 without its padding', Buffer.from(good.subarray(0, 100)).toString('base64').replaceAll('=', '')],
    ['base64 with too much padding', `${base64}====`],
    ['base64 with bits after its end', 'MAB='],
    ['padding in the middle', 'MA==MA=='],
    ['a certificate', pem(good, 'CERTIFICATE')],
    ['two blocks', text + text],
    ['a block and the start of another', `${text}-----BEGIN CERTIFICATE REQUEST-----\n`],
    ['an END of another label', text.replace('END CERTIFICATE REQUEST', 'END NEW CERTIFICATE REQUEST')],
    ['END before BEGIN', text.split('\n').toReversed().join('\n')],
    ['PEM with a header', text.replace('REQUEST-----\n', 'REQUEST-----\nProc-Type: 4,ENCRYPTED\n\n')],
    ['PEM with a broken body', text.replace(/\n[A-Za-z]/, '\n*')],
    ['PEM with no body', '-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n'],
  ])('refuses %s', (_, csr) => {
    expect(refusalOf(() => decodeCsr(csr)).code).toBe('CSR_NOT_DECODABLE');
  });

  it('refuses a private key, without repeating it', () => {
    const refusal = refusalOf(() => decodeCsr(ecKey + text));
    expect(refusal.code).toBe('CSR_NOT_DECODABLE');
    expect(refusal.message).toContain('private key');
    expect(refusal.message).not.toContain(ecKey.split('\n')[1]);
  });

  it('tells PEM that was cut short', () => {
    expect(refusalOf(() => decodeCsr(text.slice(0, -10))).code).toBe('CSR_TRUNCATED');
    expect(refusalOf(() => decodeCsr(text.slice(0, 200))).code).toBe('CSR_TRUNCATED');
  });

  it('takes exactly the most that is allowed', () => {
    expect(decodeCsr(Buffer.alloc(maximumCsrBytes, 0x30).toString('base64'))).toHaveLength(maximumCsrBytes);
    for (const bytes of [maximumCsrBytes + 1, maximumCsrBytes + 3, 40000, 1_000_000]) {
      expect(refusalOf(() => decodeCsr(Buffer.alloc(bytes, 0x30).toString('base64'))).code).toBe('CSR_TOO_LARGE');
    }
  });
});

describe('parseCertificationRequest', () => {
  it.each([
    ['P-256', () => good],
    ['RSA', () => makeCsr(rsaKey, { attributes: ['challengePassword = longer than short'] })],
    ['Ed25519', () => makeCsr(generateEd25519Key(), { subject: '/' })],
    ['names', () => makeCsr(ecKey, { subject: '/C=DE/O=Größe/CN=x+OU=y', options: ['-multivalue-rdn'] })],
  ])('reads the same fields as @peculiar/asn1-csr: %s', (_, make) => {
    const der = make();
    const ours = parse(der);
    const theirs = AsnConvert.parse(der, PeculiarCertificationRequest);
    const info = theirs.certificationRequestInfo;
    const bytes = (source: ArrayBuffer): Buffer => Buffer.from(source);
    expect(Buffer.from(ours.der)).toEqual(der);
    expect(Buffer.from(ours.certificationRequestInfo)).toEqual(bytes(AsnConvert.serialize(info)));
    expect(Buffer.from(ours.subjectDer)).toEqual(bytes(AsnConvert.serialize(info.subject)));
    expect(ours.subject).toMatchObject(
      info.subject.map((rdn) => rdn.map((item) => ({ type: item.type, value: item.value.toString() }))),
    );
    expect(Buffer.from(ours.subjectPublicKeyInfo)).toEqual(bytes(AsnConvert.serialize(info.subjectPKInfo)));
    expect(Buffer.from(ours.signature)).toEqual(bytes(theirs.signature));
    const types = info.attributes
      .map((item) => item.type)
      .filter((type) => type !== objectIdentifiers.extensionRequest);
    expect(ours.otherAttributes).toEqual(types);
  });

  it('reads the extensions that are asked for', () => {
    const lines = [
      'basicConstraints = critical, CA:FALSE',
      'keyUsage = digitalSignature',
      'subjectAltName = DNS:a.example',
    ];
    const { requestedExtensions } = parse(makeCsr(ecKey, { extensions: lines }));
    expect(requestedExtensions.map(({ extnID, critical }) => ({ extnID, critical }))).toEqual([
      { extnID: objectIdentifiers.basicConstraints, critical: true },
      { extnID: objectIdentifiers.keyUsage, critical: false },
      { extnID: objectIdentifiers.subjectAltName, critical: false },
    ]);
    expect(Buffer.from(requestedExtensions[0]?.extnValue ?? [])).toEqual(Buffer.from([0x30, 0]));
  });

  it("reads Microsoft's attribute as an extensionRequest too", () => {
    const request = attribute(objectIdentifiers.microsoftExtensionRequest, sequence(subjectAltName));
    const { requestedExtensions, otherAttributes } = parse(
      handMakeCsr(ecKey, { attributes: [contextConstructed(0, request)] }),
    );
    expect(requestedExtensions.map((item) => item.extnID)).toEqual([objectIdentifiers.subjectAltName]);
    expect(otherAttributes).toEqual([]);
  });

  it('keeps the tag and encoding of each name', () => {
    const { subject } = parse(handMakeCsr(ecKey, { subject: commonName(printableString('Device 1')) }));
    const value = subject[0]?.[0];
    expect(value).toMatchObject({ type: '2.5.4.3', tag: 0x13, value: 'Device 1' });
    expect(Buffer.from(value?.valueDer ?? [])).toEqual(Buffer.from(printableString('Device 1')));
  });

  it('hands out views of its input', () => {
    const csr = parse(good);
    const views = [csr.certificationRequestInfo, csr.subjectDer, csr.subjectPublicKeyInfo, csr.signature];
    for (const view of views) expect(view.buffer).toBe(good.buffer);
  });

  it('refuses what is too large before it reads it', () => {
    expect(codeOf(Buffer.concat([good, Buffer.alloc(maximumCsrBytes)]))).toBe('CSR_TOO_LARGE');
  });
});

describe('structure', () => {
  it('the hand-made CSR that the cases below spoil is good', () => {
    expect(parse(handMakeCsr(ecKey)).subject[0]?.[0]?.value).toBe('device-1');
    expect(
      parse(handMakeCsr(ecKey, { attributes: extensionRequest(subjectAltName) })).requestedExtensions,
    ).toHaveLength(1);
  });

  it.each([1, 2, 100])('%i trailing bytes', (count) => {
    const refusal = refusalOf(() => parse(Buffer.concat([good, Buffer.alloc(count)])));
    expect(refusal.code).toBe('CSR_TRAILING_BYTES');
    expect(refusal.message).toContain(`${count} byte`);
    expect(refusal.message).toContain(`at byte ${good.length}`);
  });

  it('truncated at any byte', () => {
    for (let length = 0; length < good.length; length++) expect(codeOf(good.subarray(0, length))).toBe('CSR_TRUNCATED');
  });

  it('BER: an indefinite length', () => {
    const contents = good.subarray(4);
    expect(codeOf(Buffer.concat([Buffer.of(0x30, 0x80), contents, Buffer.of(0, 0)]))).toBe('CSR_NOT_DER');
  });

  it('BER: a length with a leading zero', () => {
    expect(good[1]).toBe(0x82);
    const padded = Buffer.concat([Buffer.of(0x30, 0x83, 0), good.subarray(2)]);
    expect(refusalOf(() => parse(padded))).toMatchObject({
      code: 'CSR_NOT_DER',
      message: 'The CSR is not DER: a length that is not in the fewest octets at byte 0.',
    });
  });

  it('BER: a signed part with a constructed string, or a long length, or a BOOLEAN of 01', () => {
    const constructed = tlv(0x2c, utf8String('device'), utf8String('-1'));
    expect(codeOfParts({ subject: commonName(constructed) })).toBe('CSR_NOT_DER');
    expect(codeOfParts({ subject: commonName(Buffer.of(0x0c, 0x81, 1, 0x61)) })).toBe('CSR_NOT_DER');
    const critical = extension('2.5.29.17', sequence(), tlv(0x01, Uint8Array.of(1)));
    expect(codeOfParts({ attributes: extensionRequest(critical) })).toBe('CSR_NOT_DER');
    const notCritical = extension('2.5.29.17', sequence(), boolean(false));
    expect(codeOfParts({ attributes: extensionRequest(notCritical) })).toBe('CSR_NOT_DER');
  });

  it('attributes out of order', () => {
    const first = attribute('1.2.3', nullValue());
    const second = attribute('1.2.4', nullValue());
    expect(parse(handMakeCsr(ecKey, { attributes: [contextConstructed(0, first, second)] })).otherAttributes).toEqual([
      '1.2.3',
      '1.2.4',
    ]);
    expect(codeOfParts({ attributes: [contextConstructed(0, second, first)] })).toBe('CSR_NOT_DER');
  });

  const malformed: readonly (readonly [string, HandMade])[] = [
    ['version 1', { version: unsignedInteger(Uint8Array.of(1)) }],
    ['version -1', { version: tlv(0x02, Uint8Array.of(0xff)) }],
    ['a version of no INTEGER', { version: nullValue() }],
    ['no attributes', { attributes: [] }],
    ['attributes twice', { attributes: [contextConstructed(0), contextConstructed(0)] }],
    ['attributes under another tag', { attributes: [contextConstructed(1)] }],
    ['an attribute without values', { attributes: [contextConstructed(0, attribute('1.2.3'))] }],
    [
      'an attribute twice',
      { attributes: [contextConstructed(0, attribute('1.2.3', nullValue()), attribute('1.2.3', nullValue()))] },
    ],
    [
      'an extensionRequest with two values',
      {
        attributes: [
          contextConstructed(
            0,
            attribute(objectIdentifiers.extensionRequest, sequence(subjectAltName), sequence(subjectAltName)),
          ),
        ],
      },
    ],
    [
      'an extensionRequest without values',
      { attributes: [contextConstructed(0, attribute(objectIdentifiers.extensionRequest))] },
    ],
    ['an extensionRequest without extensions', { attributes: extensionRequest() }],
    ['an extension twice', { attributes: extensionRequest(subjectAltName, subjectAltName) }],
    [
      'an extension once in each kind of extensionRequest',
      {
        attributes: [
          contextConstructed(
            0,
            attribute(objectIdentifiers.extensionRequest, sequence(subjectAltName)),
            attribute(objectIdentifiers.microsoftExtensionRequest, sequence(subjectAltName)),
          ),
        ],
      },
    ],
    [
      'an extension with something after it',
      {
        attributes: extensionRequest(sequence(objectIdentifier('2.5.29.17'), octetString(sequence()), nullValue())),
      },
    ],
    ['an empty RDN', { subject: sequence(tlv(0x31)) }],
    ['an attribute type twice in an RDN', { subject: sequence(setOf(cn('device-1'), ou('a'), ou('b'))) }],
    ['an empty name', { subject: commonName(utf8String('')) }],
    ['a NUL in a name', { subject: commonName(utf8String('device-1\0')) }],
    ['a line feed in a name', { subject: commonName(utf8String('device\n1')) }],
    ['a name that is not UTF-8', { subject: commonName(tlv(0x0c, Uint8Array.of(0xff))) }],
    ['an asterisk in a PrintableString', { subject: commonName(printableString('*.example.com')) }],
    ['a BMPString name', { subject: commonName(tlv(0x1e, Uint8Array.of(0, 0x61))) }],
    ['a TeletexString name', { subject: commonName(tlv(0x14, Uint8Array.of(0x61))) }],
    ['a name of no string type', { subject: commonName(unsignedInteger(Uint8Array.of(1))) }],
    ['a name attribute without a value', { subject: commonName(new Uint8Array()) }],
    ['a subject of no SEQUENCE', { subject: nullValue() }],
    [
      'ECDSA with parameters',
      { signatureAlgorithm: sequence(objectIdentifier(objectIdentifiers.ecdsaWithSha256), nullValue()) },
    ],
    ['a signatureAlgorithm of no OBJECT IDENTIFIER', { signatureAlgorithm: sequence(nullValue()) }],
  ];
  it.each(malformed)('%s is malformed', (_, parts) => {
    expect(codeOfParts(parts)).toBe('CSR_MALFORMED');
  });

  it('an extensionRequest without extensions is found fault with where it stands', () => {
    const der = handMakeCsr(ecKey, { attributes: extensionRequest() });
    const offset = Buffer.from(der).indexOf(Buffer.from('31023000', 'hex')) + 2;
    expect(refusalOf(() => parse(der)).message).toContain(`without extensions at byte ${offset}.`);
  });

  it('a signature of bits that are not octets, or something after it, is malformed', () => {
    const info = parse(good).certificationRequestInfo;
    const algorithm = sequence(objectIdentifier(objectIdentifiers.ecdsaWithSha256));
    expect(codeOf(sequence(info, algorithm, tlv(0x03, Uint8Array.of(1, 0xfe))))).toBe('CSR_MALFORMED');
    expect(codeOf(sequence(info, algorithm, tlv(0x03, Uint8Array.of(0)), nullValue()))).toBe('CSR_MALFORMED');
    expect(codeOf(sequence(info, algorithm))).toBe('CSR_MALFORMED');
    expect(codeOf(sequence(info))).toBe('CSR_MALFORMED');
    expect(codeOf(sequence())).toBe('CSR_MALFORMED');
  });

  it('a certificate is malformed', () => {
    const certificate = openssl([
      'req',
      '-x509',
      '-new',
      '-newkey',
      'ed25519',
      '-nodes',
      '-keyout',
      '/dev/null',
      '-subj',
      '/CN=a',
      '-outform',
      'DER',
    ]);
    expect(codeOf(certificate)).toBe('CSR_MALFORMED');
  });

  it('a key that is broken inside its BIT STRING is the key, one that is broken outside is the CSR', () => {
    const algorithm = sequence(
      objectIdentifier(objectIdentifiers.idEcPublicKey),
      objectIdentifier(objectIdentifiers.secp256r1),
    );
    expect(codeOfParts({ subjectPublicKeyInfo: sequence(algorithm, tlv(0x03, Uint8Array.of(0, 4))) })).toBe(
      'KEY_INVALID',
    );
    expect(codeOfParts({ subjectPublicKeyInfo: sequence(algorithm) })).toBe('CSR_MALFORMED');
    const bits = Buffer.of(0x03, 0x81, 2, 0, 4);
    expect(codeOfParts({ subjectPublicKeyInfo: sequence(algorithm, bits) })).toBe('CSR_NOT_DER');
  });
});

describe('signature algorithms', () => {
  it.each([
    ['RSA with SHA-1', rsaKey, '-sha1', 'sha1WithRsaEncryption'],
    ['RSA with MD5', rsaKey, '-md5', 'md5WithRsaEncryption'],
    ['RSA with SHA-224', rsaKey, '-sha224', 'sha224WithRsaEncryption'],
    ['RSA with SHA-512/256', rsaKey, '-sha512-256', 'sha512_256WithRsaEncryption'],
    ['RSA with SHA3-256', rsaKey, '-sha3-256', 'rsassaPkcs1v1_5WithSha3_256'],
    ['ECDSA with SHA-1', ecKey, '-sha1', 'ecdsaWithSha1'],
    ['ECDSA with SHA-224', ecKey, '-sha224', 'ecdsaWithSha224'],
    ['ECDSA with SHA3-256', ecKey, '-sha3-256', 'ecdsaWithSha3_256'],
  ])('%s, made by openssl, is refused by its name', (_, key, hash, name) => {
    const refusal = refusalOf(() => parse(makeCsr(key, { options: [hash] })));
    expect(refusal.code).toBe('SIGNATURE_ALGORITHM_NOT_ALLOWED');
    expect(refusal.message).toContain(name);
  });

  const opensslPss = (...options: readonly string[]): Buffer =>
    makeCsr(rsaKey, { options: ['-sigopt', 'rsa_padding_mode:pss', ...options] });

  it.each([
    ['SHA-1', ['-sha1', '-sigopt', 'rsa_pss_saltlen:20']],
    ['SHA-224', ['-sha224']],
    ['SHA-512/256', ['-sha512-256']],
    ['MGF1 over another hash', ['-sha256', '-sigopt', 'rsa_mgf1_md:sha512']],
    ['MGF1 over SHA-1', ['-sha256', '-sigopt', 'rsa_mgf1_md:sha1']],
  ])('PSS with %s, made by openssl, is refused', (_, options) => {
    expect(codeOf(opensslPss(...options))).toBe('SIGNATURE_ALGORITHM_NOT_ALLOWED');
  });

  const hashIdentifier = (...parameters: readonly Uint8Array[]): Uint8Array =>
    sequence(objectIdentifier(objectIdentifiers.idSha256), ...parameters);
  const pss = (...parameters: readonly Uint8Array[]): Uint8Array =>
    sequence(objectIdentifier(objectIdentifiers.idRsassaPss), sequence(...parameters));
  const hash = contextConstructed(0, hashIdentifier(nullValue()));
  const mgf1 = (...parameters: readonly Uint8Array[]): Uint8Array =>
    contextConstructed(1, sequence(objectIdentifier(objectIdentifiers.idMgf1), hashIdentifier(...parameters)));
  const integer = (tag: number, ...value: readonly number[]): Uint8Array =>
    contextConstructed(tag, unsignedInteger(Uint8Array.from(value)));
  const pssCsr = (...parameters: readonly Uint8Array[]): Uint8Array =>
    handMakeCsr(rsaKey, { signatureAlgorithm: pss(...parameters) });

  it('PSS parameters that are left out have their defaults; hash parameters may be NULL or not there', () => {
    const expected = { algorithm: 'rsa-pss', hash: 'sha256', saltLength: 20 };
    expect(parse(pssCsr(hash, mgf1(nullValue()))).signatureAlgorithm).toEqual(expected);
    expect(parse(pssCsr(contextConstructed(0, hashIdentifier()), mgf1())).signatureAlgorithm).toEqual(expected);
    expect(parse(pssCsr(hash, mgf1(), integer(2, 222))).signatureAlgorithm).toEqual({ ...expected, saltLength: 222 });
  });

  it.each([
    ['no hash', [mgf1(), integer(2, 32)], 'SIGNATURE_ALGORITHM_NOT_ALLOWED'],
    ['no mask generation function', [hash, integer(2, 32)], 'SIGNATURE_ALGORITHM_NOT_ALLOWED'],
    [
      'another mask generation function',
      [hash, contextConstructed(1, hashIdentifier())],
      'SIGNATURE_ALGORITHM_NOT_ALLOWED',
    ],
    ['a salt that does not fit', [hash, mgf1(), integer(2, 223)], 'SIGNATURE_ALGORITHM_NOT_ALLOWED'],
    ['a huge salt', [hash, mgf1(), integer(2, 1, 0, 0, 0, 0)], 'CSR_MALFORMED'],
    ['a negative salt', [hash, mgf1(), contextConstructed(2, tlv(0x02, Uint8Array.of(0xff)))], 'CSR_MALFORMED'],
    ['the default salt length encoded', [hash, mgf1(), integer(2, 20)], 'CSR_NOT_DER'],
    ['the default trailer encoded', [hash, mgf1(), integer(2, 32), integer(3, 1)], 'CSR_NOT_DER'],
    ['another trailer', [hash, mgf1(), integer(2, 32), integer(3, 2)], 'CSR_MALFORMED'],
    ['parameters out of order', [hash, integer(2, 32), mgf1()], 'SIGNATURE_ALGORITHM_NOT_ALLOWED'],
    ['something after', [hash, mgf1(), nullValue()], 'CSR_MALFORMED'],
  ])('PSS with %s', (_, parameters, code) => {
    expect(codeOf(pssCsr(...parameters))).toBe(code);
  });

  it('RSA PKCS#1 v1.5 has NULL parameters or none', () => {
    const identifier = objectIdentifier(objectIdentifiers.sha256WithRsaEncryption);
    const expected = { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha256' };
    for (const parameters of [[nullValue()], []]) {
      const csr = handMakeCsr(rsaKey, { signatureAlgorithm: sequence(identifier, ...parameters) });
      expect(parse(csr).signatureAlgorithm).toEqual(expected);
    }
    expect(codeOf(handMakeCsr(rsaKey, { signatureAlgorithm: sequence(identifier, sequence()) }))).toBe('CSR_MALFORMED');
  });

  it.each([
    ['ECDSA by an RSA key', rsaKey, objectIdentifiers.ecdsaWithSha256],
    ['RSA by an EC key', ecKey, objectIdentifiers.sha256WithRsaEncryption],
    ['Ed25519 by an EC key', ecKey, objectIdentifiers.idEd25519],
    ['a name nobody knows', ecKey, '1.3.6.1.4.1.99999.1'],
  ])('%s is refused', (_, key, algorithm) => {
    const csr = handMakeCsr(key, { signatureAlgorithm: sequence(objectIdentifier(algorithm)) });
    expect(codeOf(csr)).toBe('SIGNATURE_ALGORITHM_NOT_ALLOWED');
  });
});

describe("keys that openssl puts into a CSR and nobody's profile allows", () => {
  const dsaKey = (): string => openssl(['dsaparam', '-genkey', '-noout', '1024']).toString();
  it.each([
    ['DSA', dsaKey, 'KEY_ALGORITHM_NOT_ALLOWED'],
    ['Ed448', () => generateKey('-algorithm', 'ed448'), 'KEY_ALGORITHM_NOT_ALLOWED'],
    [
      'RSASSA-PSS',
      () => generateKey('-algorithm', 'RSA-PSS', '-pkeyopt', 'rsa_keygen_bits:2048'),
      'KEY_ALGORITHM_NOT_ALLOWED',
    ],
    ['secp256k1', () => generateEcKey('secp256k1'), 'KEY_CURVE_NOT_ALLOWED'],
    ['explicit parameters', () => openssl(['ec', '-param_enc', 'explicit'], ecKey).toString(), 'KEY_CURVE_NOT_ALLOWED'],
    ['a compressed point', () => openssl(['ec', '-conv_form', 'compressed'], ecKey).toString(), 'KEY_INVALID'],
  ])('%s', (_, makeKey, code) => {
    expect(codeOf(makeCsr(makeKey()))).toBe(code);
  });

  it.each([
    ['RSA 1024', ['rsa_keygen_bits:1024'], 'KEY_TOO_SMALL'],
    ['exponent 3', ['rsa_keygen_bits:2048', 'rsa_keygen_pubexp:3'], 'KEY_EXPONENT_NOT_ALLOWED'],
    ['exponent 2^32 + 15', ['rsa_keygen_bits:2048', 'rsa_keygen_pubexp:4294967311'], 'KEY_EXPONENT_NOT_ALLOWED'],
  ])('%s', (_, options, code) => {
    const key = generateKey('-algorithm', 'RSA', ...options.flatMap((option) => ['-pkeyopt', option]));
    const { publicKey } = parse(makeCsr(key));
    const policy = { rsa: { minimumBits: 2048, maximumBits: 4096 } };
    expect(refusalOf(() => checkPublicKey(publicKey, policy)).code).toBe(code);
  });
});

it('what is parsed depends on nothing but the bytes', () => {
  const info = parse(good).certificationRequestInfo;
  const digest = (der: Uint8Array): string =>
    createHash('sha256').update(parse(der).certificationRequestInfo).digest('hex');
  expect(digest(signInfo(info, ecKey))).toBe(digest(good));
});
