import { encodeGeneralName, type GrantedGeneralName } from './granted-name.ts';

/**
 * Bounds of a certificate's names, in bytes of DER. What is always granted and what a registration lists have half of them
 * each, so that both together always fit; what a CSR chooses has what they leave.
 */
export const longestNames = 8_192;
export const longestAlwaysGranted = longestNames / 2;
export const longestRegistered = longestNames / 2;

/** Of the GeneralNames together, without the SEQUENCE round them. */
export const lengthOfNames = (names: readonly GrantedGeneralName[]): number =>
  names.reduce((length, name) => length + encodeGeneralName(name).length, 0);
