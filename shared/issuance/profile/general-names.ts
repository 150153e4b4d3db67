import ipaddr from 'ipaddr.js';
import * as z from 'zod';
import {
  deviceIdPlaceholder,
  dottedObjectIdentifier,
  ia5Template,
  labelPlaceholder,
  oneInEach,
  template,
} from './texts.ts';

/** Names by which standards say which device it is; in a certificate each is an otherName (RFC 5280 section 4.2.1.6). */
const deviceNames = {
  /** RFC 4108 section 5; IEEE 802.1AR device identities have it. */
  hardwareModuleName: z.strictObject({ hwType: dottedObjectIdentifier, hwSerialNum: template() }).optional(),
  /** RFC 4043. */
  permanentIdentifier: z
    .strictObject({ identifierValue: template(), assigner: dottedObjectIdentifier.optional() })
    .optional(),
  /** Any other form whose value is a UTF8String. */
  otherName: z.strictObject({ typeId: dottedObjectIdentifier, utf8String: template() }).optional(),
};

/** One name that every certificate of the profile has. */
export const generalNameTemplate = z
  .strictObject({
    dNSName: ia5Template().optional(),
    uniformResourceIdentifier: ia5Template().optional(),
    rfc822Name: ia5Template().optional(),
    ...deviceNames,
  })
  .refine(oneInEach, 'one name in each list entry');

const choosable = () => ia5Template([deviceIdPlaceholder, labelPlaceholder]);

/** One name, or one family of names, that the CSR may choose. */
export const grantableNameTemplate = z
  .strictObject({
    dNSName: choosable().optional(),
    uniformResourceIdentifier: choosable().optional(),
    rfc822Name: ia5Template().optional(),
    iPAddress: z
      .string()
      .refine((text) => ipaddr.isValidCIDR(text), 'must be a range of addresses, such as 192.0.2.0/24 or 2001:db8::/64')
      .optional(),
    ...deviceNames,
  })
  .refine(oneInEach, 'one name in each list entry');

export type GeneralNameTemplate = z.infer<typeof generalNameTemplate>;
export type GrantableNameTemplate = z.infer<typeof grantableNameTemplate>;
