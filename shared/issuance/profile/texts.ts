import * as z from 'zod';

/** Building stones of the profile's schema: texts, lists and object identifiers. */

/** The one thing that varies from certificate to certificate of a profile. */
export const deviceIdPlaceholder = '{deviceId}';

/** Where a name is granted on request: one label of a host name, or one segment of a URI's path, of the CSR's choice. */
export const labelPlaceholder = '{label}';

/** @param placeholders the ones that may stand in it */
export const template = (placeholders: readonly string[] = [deviceIdPlaceholder]) =>
  z
    .string()
    .min(1)
    .max(200)
    .refine(
      (text) => !/[{}]/.test(placeholders.reduce((rest, placeholder) => rest.replaceAll(placeholder, ''), text)),
      placeholders.length === 1
        ? `the only placeholder is ${placeholders[0]}`
        : `the only placeholders are ${placeholders.join(' and ')}`,
    );

/** Of an IA5String (RFC 5280 section 4.2.1.6): what is outside ASCII goes in as %-escapes or in its A-label. */
export const ia5Template = (placeholders?: readonly string[]) =>
  template(placeholders).refine((text) => /^[\x21-\x7e]*$/.test(text), 'must be printable ASCII without spaces');

/** For lists whose entries are objects with one member. */
export const oneInEach = (entry: object): boolean =>
  Object.values(entry).filter((value) => value !== undefined).length === 1;

export const areDistinct = (list: readonly unknown[]): boolean =>
  new Set(list.map((member) => JSON.stringify(member))).size === list.length;

/** A list of which nothing may stand twice in a certificate. */
export const distinct = <Element extends z.ZodType>(element: Element) =>
  z.array(element).refine(areDistinct, 'something is listed twice');

/** Arcs as X.660 allows them, each below 2^53. */
export const dottedForm = /^(?:[01]\.(?:[0-9]|[1-3][0-9])|2\.(?:0|[1-9][0-9]{0,14}))(?:\.(?:0|[1-9][0-9]{0,14}))*$/;

export const dottedObjectIdentifier = z.string().regex(dottedForm, {
  error: 'must be a dotted object identifier, such as 1.3.6.1.4.1.32473.1',
});

export const keysOf = <T extends Record<string, unknown>>(table: T) =>
  Object.keys(table) as [keyof T & string, ...(keyof T & string)[]];
