/** The object identifiers that certification requests hold, by the names that their standards give them. */
export const objectIdentifiers = {
  // Public keys: RFC 3279 section 2.3, RFC 4055 section 1.2, RFC 5480 section 2.1.1, RFC 8410 section 3.
  rsaEncryption: '1.2.840.113549.1.1.1',
  idRsaesOaep: '1.2.840.113549.1.1.7',
  idRsassaPss: '1.2.840.113549.1.1.10',
  idDsa: '1.2.840.10040.4.1',
  dhpublicnumber: '1.2.840.10046.2.1',
  idEcPublicKey: '1.2.840.10045.2.1',
  idX25519: '1.3.101.110',
  idX448: '1.3.101.111',
  idEd25519: '1.3.101.112',
  idEd448: '1.3.101.113',

  // Named curves: RFC 5480 section 2.1.1.1, SEC 2, RFC 5639.
  secp256r1: '1.2.840.10045.3.1.7',
  secp384r1: '1.3.132.0.34',
  secp521r1: '1.3.132.0.35',
  secp192r1: '1.2.840.10045.3.1.1',
  secp224r1: '1.3.132.0.33',
  secp256k1: '1.3.132.0.10',
  brainpoolP256r1: '1.3.36.3.3.2.8.1.1.7',
  brainpoolP384r1: '1.3.36.3.3.2.8.1.1.11',
  brainpoolP512r1: '1.3.36.3.3.2.8.1.1.13',

  // Signatures: RFC 3279 section 2.2, RFC 4055 section 5, RFC 5758 section 3, RFC 8410 section 3, RFC 8702.
  md2WithRsaEncryption: '1.2.840.113549.1.1.2',
  md4WithRsaEncryption: '1.2.840.113549.1.1.3',
  md5WithRsaEncryption: '1.2.840.113549.1.1.4',
  sha1WithRsaEncryption: '1.2.840.113549.1.1.5',
  sha1WithRsaSignature: '1.3.14.3.2.29',
  sha224WithRsaEncryption: '1.2.840.113549.1.1.14',
  sha256WithRsaEncryption: '1.2.840.113549.1.1.11',
  sha384WithRsaEncryption: '1.2.840.113549.1.1.12',
  sha512WithRsaEncryption: '1.2.840.113549.1.1.13',
  sha512_224WithRsaEncryption: '1.2.840.113549.1.1.15',
  sha512_256WithRsaEncryption: '1.2.840.113549.1.1.16',
  ripemd160WithRsaSignature: '1.3.36.3.3.1.2',
  dsaWithSha1: '1.2.840.10040.4.3',
  dsaWithSha224: '2.16.840.1.101.3.4.3.1',
  dsaWithSha256: '2.16.840.1.101.3.4.3.2',
  ecdsaWithSha1: '1.2.840.10045.4.1',
  ecdsaWithSha224: '1.2.840.10045.4.3.1',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  ecdsaWithSha512: '1.2.840.10045.4.3.4',
  ecdsaWithSha3_224: '2.16.840.1.101.3.4.3.9',
  ecdsaWithSha3_256: '2.16.840.1.101.3.4.3.10',
  ecdsaWithSha3_384: '2.16.840.1.101.3.4.3.11',
  ecdsaWithSha3_512: '2.16.840.1.101.3.4.3.12',
  rsassaPkcs1v1_5WithSha3_256: '2.16.840.1.101.3.4.3.14',
  rsassaPkcs1v1_5WithSha3_384: '2.16.840.1.101.3.4.3.15',
  rsassaPkcs1v1_5WithSha3_512: '2.16.840.1.101.3.4.3.16',

  // What the parameters of id-RSASSA-PSS hold: RFC 4055 sections 2.1 and 2.2.
  idMgf1: '1.2.840.113549.1.1.8',
  idMd5: '1.2.840.113549.2.5',
  idSha1: '1.3.14.3.2.26',
  idSha224: '2.16.840.1.101.3.4.2.4',
  idSha256: '2.16.840.1.101.3.4.2.1',
  idSha384: '2.16.840.1.101.3.4.2.2',
  idSha512: '2.16.840.1.101.3.4.2.3',

  // Attributes of a certification request: RFC 2985 section 5.4; the second is Microsoft's for the same thing.
  extensionRequest: '1.2.840.113549.1.9.14',
  microsoftExtensionRequest: '1.3.6.1.4.1.311.2.1.14',
  challengePassword: '1.2.840.113549.1.9.7',
  unstructuredName: '1.2.840.113549.1.9.2',

  // Extensions: RFC 5280 section 4.2.
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extKeyUsage: '2.5.29.37',
} as const;

const names = new Map<string, string>(Object.entries(objectIdentifiers).map(([name, dotted]) => [dotted, name]));

/** For sentences: the name and the dotted form where the name is known, else the dotted form. */
export function describeObjectIdentifier(dotted: string): string {
  const name = names.get(dotted);
  return name === undefined ? dotted : `${name} (${dotted})`;
}
