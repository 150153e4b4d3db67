import * as z from 'zod';
import { readAddressRange } from '../ip-addresses.ts';
import { misplacedPlaceholder, type TextKind } from '../name-pattern.ts';
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

/** Where its placeholders stand, no two devices' names may be the same, nor one name be read in two ways. */
const placed = (kind: TextKind, placeholders?: readonly string[]) =>
  ia5Template(placeholders).refine((text) => misplacedPlaceholder(kind, text) === undefined, {
    error: ({ input }) => misplacedPlaceholder(kind, String(input)),
  });

/** One name that every certificate of the profile has. */
export const generalNameTemplate = z
  .strictObject({
    dNSName: placed('dNSName').optional(),
    uniformResourceIdentifier: placed('uniformResourceIdentifier').optional(),
    rfc822Name: placed('rfc822Name').optional(),
    ...deviceNames,
  })
  .refine(oneInEach, 'one name in each list entry');

const choosable = (kind: TextKind) => placed(kind, [deviceIdPlaceholder, labelPlaceholder]);

interface Family {
  readonly dNSName?: string | undefined;
  readonly uniformResourceIdentifier?: string | undefined;
  readonly iPAddress?: string | undefined;
}

/** Whether any device may choose a name that stands for another one: of a family in which no device id is. */
function isOfManyDevices({ dNSName, uniformResourceIdentifier, iPAddress }: Family): boolean {
  const text = dNSName ?? uniformResourceIdentifier ?? '';
  const isOfAnybody = text.includes(labelPlaceholder) && !text.includes(deviceIdPlaceholder);
  return isOfAnybody || (iPAddress !== undefined && readAddressRange(iPAddress)?.isOneAddress === false);
}

/** One name, or one family of names, that the CSR may choose. */
export const grantableNameTemplate = z
  .strictObject({
    dNSName: choosable('dNSName').optional(),
    uniformResourceIdentifier: choosable('uniformResourceIdentifier').optional(),
    rfc822Name: placed('rfc822Name').optional(),
    iPAddress: z
      .string()
      .refine(
        (text) => readAddressRange(text) !== undefined,
        'must be a range of addresses, such as 192.0.2.0/24 or 2001:db8::/64, with no bit set beyond its length',
      )
      .optional(),
    ...deviceNames,
    shared: z
      .literal(true)
      .optional()
      .describe('any device may have any of these names, also one that another device goes by'),
  })
  .refine((entry) => oneInEach({ ...entry, shared: undefined }), 'one name in each list entry')
  .refine((entry) => entry.shared === true || !isOfManyDevices(entry), {
    error:
      'any device may have any of these names, and so the one of another: put {deviceId} into it, have each device ' +
      'registered with its names (registered), or say so with shared: true',
  })
  .refine((entry) => entry.shared === undefined || isOfManyDevices(entry), {
    path: ['shared'],
    error: 'is for a range of addresses, or a {label} without {deviceId}',
  });

export type GeneralNameTemplate = z.infer<typeof generalNameTemplate>;
export type GrantableNameTemplate = z.infer<typeof grantableNameTemplate>;
