/** What profiles may say, by the names of RFC 5280 (appendix A), so that a profile can be read beside the standard. */

export const attributeTypes = {
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  countryName: '2.5.4.6',
  localityName: '2.5.4.7',
  stateOrProvinceName: '2.5.4.8',
  organizationName: '2.5.4.10',
  organizationalUnitName: '2.5.4.11',
} as const;

export type AttributeType = keyof typeof attributeTypes;

/** Longest values, in characters (RFC 5280 appendix A.1). */
export const upperBounds: Readonly<Record<AttributeType, number>> = {
  commonName: 64,
  serialNumber: 64,
  countryName: 2,
  localityName: 128,
  stateOrProvinceName: 128,
  organizationName: 64,
  organizationalUnitName: 64,
};

/** RFC 5280 section 4.2.1.3, without what makes a CA: keyCertSign (5) and cRLSign (6). */
export const keyUsageBits = {
  digitalSignature: 0,
  nonRepudiation: 1,
  keyEncipherment: 2,
  dataEncipherment: 3,
  keyAgreement: 4,
} as const;

export type KeyUsage = keyof typeof keyUsageBits;

export const extendedKeyUsages = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
} as const;

/**
 * Purposes that no profile may name, and why. With the first a relying party takes the certificate for anything; with the
 * second it may say of every certificate of its issuer that it is good (RFC 6960 section 4.2.2.2). The third would be good
 * for nothing here: relying parties take it only from an extension that is critical and names nothing else (RFC 3161
 * section 2.3).
 */
export const refusedExtendedKeyUsages: ReadonlyMap<string, string> = new Map([
  ['2.5.29.37.0', 'anyExtendedKeyUsage, which stands for every purpose'],
  ['1.3.6.1.5.5.7.3.9', 'OCSPSigning, which speaks for the issuing CA'],
  ['1.3.6.1.5.5.7.3.8', 'timeStamping, which must be alone in a critical extension (RFC 3161 section 2.3)'],
]);

/** Extensions that a CSR may ask for and a profile may ignore by name; others by their object identifier. */
export const ignorableExtensions = {
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectKeyIdentifier: '2.5.29.14',
  certificatePolicies: '2.5.29.32',
} as const;

/** The kinds of GeneralName (RFC 5280 section 4.2.1.6) that a CSR may ask for in vain. */
export const generalNameKinds = [
  'otherName',
  'rfc822Name',
  'dNSName',
  'x400Address',
  'directoryName',
  'ediPartyName',
  'uniformResourceIdentifier',
  'iPAddress',
  'registeredID',
] as const;

/**
 * What is Mintmark's own to say in a certificate, so that no profile adds it as a further extension: what it makes of the
 * profile, what only a CA's certificate may have (RFC 5280 sections 4.2.1.10 to 4.2.1.12, 4.2.1.14), what older extensions
 * said of the same (X.509 of 1993, Netscape), and what would make something else of the certificate.
 */
const reservedExtensions: ReadonlyMap<string, string> = new Map([
  ['2.5.29.1', 'the old authorityKeyIdentifier'],
  ['2.5.29.2', 'the old keyAttributes'],
  ['2.5.29.3', 'the old certificatePolicies'],
  ['2.5.29.4', 'the old keyUsageRestriction'],
  ['2.5.29.5', 'the old policyMapping'],
  ['2.5.29.6', 'the old subtreesConstraint'],
  ['2.5.29.7', 'the old subjectAltName'],
  ['2.5.29.8', 'the old issuerAltName'],
  ['2.5.29.9', 'subjectDirectoryAttributes'],
  ['2.5.29.10', 'the old basicConstraints'],
  ['2.5.29.14', 'subjectKeyIdentifier'],
  ['2.5.29.15', 'keyUsage'],
  ['2.5.29.16', 'privateKeyUsagePeriod'],
  ['2.5.29.17', 'subjectAltName'],
  ['2.5.29.18', 'issuerAltName'],
  ['2.5.29.19', 'basicConstraints'],
  ['2.5.29.30', 'nameConstraints'],
  ['2.5.29.31', 'cRLDistributionPoints'],
  ['2.5.29.32', 'certificatePolicies'],
  ['2.5.29.33', 'policyMappings'],
  ['2.5.29.35', 'authorityKeyIdentifier'],
  ['2.5.29.36', 'policyConstraints'],
  ['2.5.29.37', 'extendedKeyUsage'],
  ['2.5.29.46', 'freshestCRL'],
  ['2.5.29.54', 'inhibitAnyPolicy'],
  ['2.5.29.56', 'noRevAvail'],
  ['1.3.6.1.5.5.7.1.1', 'authorityInfoAccess'],
  ['1.3.6.1.5.5.7.1.11', 'subjectInfoAccess'],
  // RFC 3820: its holder would issue certificates.
  ['1.3.6.1.5.5.7.1.14', 'proxyCertInfo'],
  // RFC 6960 section 4.2.2.2.1, for OCSP responders.
  ['1.3.6.1.5.5.7.48.1.5', 'ocsp-nocheck'],
]);

/** The same of everything under an object identifier. */
const reservedArcs: ReadonlyMap<string, string> = new Map([
  ['2.16.840.1.113730.1.', "Netscape's extension (such as netscape-cert-type)"],
  // RFC 6962 sections 3.1 and 3.3: a poisoned certificate is none, and a timestamp is of one certificate alone.
  ['1.3.6.1.4.1.11129.2.4.', 'an extension of Certificate Transparency (poison, signed certificate timestamps)'],
]);

/** What an extension is that no profile may add, for a sentence; undefined for others. */
export const reservedExtension = (identifier: string): string | undefined =>
  reservedExtensions.get(identifier) ?? [...reservedArcs].find(([arc]) => identifier.startsWith(arc))?.[1];
