import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { type Document, parseDocument } from 'yaml';
import * as z from 'zod';
import { MintmarkError } from '../errors.ts';

/** Names in profiles are RFC 5280's own (appendix A), so a profile can be read beside the standard. */
export const attributeTypes = {
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  countryName: '2.5.4.6',
  localityName: '2.5.4.7',
  stateOrProvinceName: '2.5.4.8',
  organizationName: '2.5.4.10',
  organizationalUnitName: '2.5.4.11',
} as const;

/** Longest values, in characters (RFC 5280 appendix A.1). */
export const upperBounds: Readonly<Record<keyof typeof attributeTypes, number>> = {
  commonName: 64,
  serialNumber: 64,
  countryName: 2,
  localityName: 128,
  stateOrProvinceName: 128,
  organizationName: 64,
  organizationalUnitName: 64,
};

export const keyUsageBits = {
  digitalSignature: 0,
  nonRepudiation: 1,
  keyEncipherment: 2,
  dataEncipherment: 3,
  keyAgreement: 4,
} as const;

export const extendedKeyUsages = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
} as const;

/** Extensions that a CSR may ask for and a profile may ignore; what the profile grants comes from the profile. */
export const ignorableExtensions = {
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectKeyIdentifier: '2.5.29.14',
} as const;

const keysOf = <T extends Record<string, unknown>>(table: T) =>
  Object.keys(table) as [keyof T & string, ...(keyof T & string)[]];

/** Text with `{deviceId}` in it, the one thing that varies from certificate to certificate of a profile. */
const template = z
  .string()
  .min(1)
  .max(200)
  .refine((text) => !/[{}]/.test(text.replaceAll('{deviceId}', '')), 'the only placeholder is {deviceId}');

const oneInEach = (entry: object): boolean => Object.keys(entry).length === 1;

/** Both are IA5String (RFC 5280 section 4.2.1.6): what is outside ASCII goes in as %-escapes or in its A-label. */
const generalNameTemplate = z
  .partialRecord(
    z.enum(['uniformResourceIdentifier', 'dNSName']),
    template.refine((text) => /^[\x21-\x7e]*$/.test(text), 'must be printable ASCII without spaces'),
  )
  .refine(oneInEach, 'one name in each list entry');

const areDistinct = (list: readonly unknown[]): boolean =>
  new Set(list.map((member) => JSON.stringify(member))).size === list.length;

/** A list of which nothing may stand twice in a certificate. */
const distinct = <Element extends z.ZodType>(element: Element) =>
  z.array(element).refine(areDistinct, 'something is listed twice');

/** With the shortest device id; with a longer one lint may still find the value too long, for that device alone. */
function fitsItsBound(entry: Partial<Record<keyof typeof attributeTypes, string>>): boolean {
  return Object.entries(entry).every(
    ([type, text]) => text.replaceAll('{deviceId}', 'x').length <= upperBounds[type as keyof typeof attributeTypes],
  );
}

const profileSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  issuer: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  validity: z.strictObject({
    days: z.int().min(1).max(3650),
    backdateMinutes: z.int().min(0).max(1440),
  }),
  keys: z
    .strictObject({
      ec: z.strictObject({ curves: distinct(z.enum(['P-256', 'P-384', 'P-521'])).min(1) }).optional(),
      rsa: z
        .strictObject({ minimumBits: z.int().min(2048), maximumBits: z.int().max(4096) })
        .refine((rsa) => rsa.minimumBits <= rsa.maximumBits, 'minimumBits is over maximumBits')
        .optional(),
      ed25519: z.boolean().optional(),
    })
    .refine(
      (keys) => keys.ec !== undefined || keys.rsa !== undefined || keys.ed25519 === true,
      'no key would be allowed',
    ),
  subject: z
    .array(
      z
        .partialRecord(z.enum(keysOf(attributeTypes)), template)
        .refine(oneInEach, 'one attribute in each list entry')
        .refine(fitsItsBound, 'longer than RFC 5280 appendix A.1 allows, whatever the device id'),
    )
    .min(1),
  subjectAltName: z
    .strictObject({
      always: distinct(generalNameTemplate).min(1),
      onRequest: distinct(generalNameTemplate),
    })
    .refine(
      ({ always, onRequest }) =>
        !areDistinct(always) || !areDistinct(onRequest) || areDistinct([...always, ...onRequest]),
      'a name is listed under both always and onRequest',
    ),
  keyUsage: distinct(z.enum(keysOf(keyUsageBits))).min(1),
  extendedKeyUsage: distinct(z.enum(keysOf(extendedKeyUsages))).min(1),
  ignored: z.strictObject({
    subjectAttributes: distinct(z.enum(keysOf(attributeTypes))),
    extensions: distinct(z.enum(keysOf(ignorableExtensions))),
  }),
  registration: z.enum(['required', 'optional']),
  allowedSenders: z.union([z.literal('any'), z.array(z.string().min(1)).min(1)]),
});

export type GeneralNameTemplate = z.infer<typeof generalNameTemplate>;

/** What may be issued; `hash` is the SHA-256 of the file's bytes in hex and goes into every row made under it. */
export type Profile = Readonly<z.infer<typeof profileSchema>> & { readonly hash: string };

/**
 * One profile from its YAML text.
 * @throws MintmarkError CONFIGURATION_INVALID that lists every problem of the file
 */
export function readProfile(file: string, yaml: string): Profile {
  const document = parseDocument(yaml);
  // The parser's messages end in a picture of the place, which does not fit into a sentence; their first line names it.
  const mistakes = [...document.errors, ...document.warnings].map(({ message }) => message.split(':\n', 1)[0]);
  if (mistakes.length > 0) throw invalid(file, mistakes);
  const result = profileSchema.safeParse(valueOf(file, document));
  if (!result.success) {
    throw invalid(
      file,
      result.error.issues.map((issue) => `${issue.path.join('.') || 'the file'}: ${issue.message}`),
    );
  }
  return { ...result.data, hash: createHash('sha256').update(yaml).digest('hex') };
}

function valueOf(file: string, document: Document): unknown {
  try {
    return document.toJS();
  } catch (error) {
    // Aliases are resolved only now, and one may stand for nothing.
    throw invalid(file, [error instanceof Error ? error.message : String(error)]);
  }
}

const invalid = (file: string, problems: readonly (string | undefined)[]): MintmarkError =>
  new MintmarkError('CONFIGURATION_INVALID', problems.map((problem) => `${file}: ${problem}`).join('; '));

/**
 * Every `*.yaml` of a folder, by profile name.
 * @throws MintmarkError CONFIGURATION_INVALID that lists every problem of every file at once
 */
export function readProfiles(folder: URL): ReadonlyMap<string, Profile> {
  const profiles = new Map<string, Profile>();
  const problems: string[] = [];
  for (const file of readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .sort()) {
    try {
      const profile = readProfile(file, readFileSync(new URL(file, folder), 'utf8'));
      if (file !== `${profile.name}.yaml`)
        problems.push(`${file}: holds the profile ${profile.name}; name the file after it`);
      profiles.set(profile.name, profile);
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  if (profiles.size === 0 && problems.length === 0) problems.push('no profile is deployed: profiles/*.yaml is empty');
  if (problems.length > 0) throw new MintmarkError('CONFIGURATION_INVALID', problems.join('; '));
  return profiles;
}
