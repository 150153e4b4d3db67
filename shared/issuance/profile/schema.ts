import * as z from 'zod';
import { DerError, DerReader } from '../../asn1/index.ts';
import { longestNameOf } from '../grants.ts';
import { lengthOfNames, longestAlwaysGranted } from '../name-lengths.ts';
import { principalIdForm, principalIdPattern } from '../principal-id.ts';
import { generalNameTemplate, grantableNameTemplate } from './general-names.ts';
import { attributeProblems, generalNameProblems, plainDeviceId, type TextProblem, uriProblem } from './static-texts.ts';
import {
  areDistinct,
  deviceIdPlaceholder,
  distinct,
  dottedForm,
  dottedObjectIdentifier,
  keysOf,
  oneInEach,
  template,
} from './texts.ts';
import {
  type AttributeType,
  attributeTypes,
  extendedKeyUsages,
  generalNameKinds,
  ignorableExtensions,
  type KeyUsage,
  keyUsageBits,
  refusedExtendedKeyUsages,
  reservedExtension,
  upperBounds,
} from './vocabulary.ts';

/** What a profile may say. Each problem is told in a sentence, at the field that it is in; see docs/profiles.md. */

const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1 to 63 of a-z 0-9 -');

/** The one lifetime for which a certificate may do without a way to be revoked, in milliseconds. */
export const longestWithoutRevocation = 86_400_000;

const validity = z
  .strictObject({
    days: z.int().min(1).max(3650).optional(),
    hours: z.int().min(1).max(87_600).optional(),
    end: z
      .literal('never')
      .optional()
      .describe('99991231235959Z (RFC 5280 section 4.1.2.5), for devices that are never visited'),
    backdateMinutes: z.int().min(0).max(1440),
    beyondIssuer: z
      .enum(['refuse', 'clamp'])
      .optional()
      .describe(
        "what becomes of a certificate that would outlive its issuer's: refused (the default), or made shorter",
      ),
  })
  .refine(
    ({ days, hours, end }) => [days, hours, end].filter((each) => each !== undefined).length === 1,
    'exactly one of days, hours and end: never',
  )
  .refine(
    (one) => !(one.backdateMinutes * 60_000 * 2 > lifetimeOf(one) && lifetimeOf(one) > 0),
    'backdateMinutes is more than half of the lifetime, of which it is a part',
  );

const keys = z
  .strictObject({
    ec: z.strictObject({ curves: distinct(z.enum(['P-256', 'P-384', 'P-521'])).min(1) }).optional(),
    rsa: z
      .strictObject({ minimumBits: z.int().min(2048), maximumBits: z.int().max(8192) })
      .refine((rsa) => rsa.minimumBits <= rsa.maximumBits, 'minimumBits is over maximumBits')
      .optional(),
    ed25519: z.boolean().optional(),
    reuse: z
      .enum(['allowed', 'refused'])
      .optional()
      .describe(
        'whether a key that is live for another device may be certified; refused costs a write for each certificate',
      ),
  })
  .refine(
    (some) => some.ec !== undefined || some.rsa !== undefined || some.ed25519 === true,
    'no key would be allowed',
  );

/** With the shortest device id; with a longer one lint may still find the value too long, for that device alone. */
function fitsItsBound(entry: Partial<Record<AttributeType, string>>): boolean {
  return Object.entries(entry).every(
    ([type, text]) => text.replaceAll(deviceIdPlaceholder, plainDeviceId).length <= upperBounds[type as AttributeType],
  );
}

/** Adds a problem for each text of an entry that cannot be in a certificate, unless the entry is wrong already. */
const holding =
  <Entry>(problemsOf: (entry: Entry) => readonly TextProblem[]) =>
  ({ value, issues }: z.core.ParsePayload<Entry>): void => {
    if (issues.length > 0) return;
    for (const { path, message } of problemsOf(value)) {
      issues.push({ code: 'custom', input: value, path: [...path], message });
    }
  };

const subject = z.array(
  z
    .partialRecord(z.enum(keysOf(attributeTypes)), template())
    .refine(oneInEach, 'one attribute in each list entry')
    .refine(fitsItsBound, 'longer than RFC 5280 appendix A.1 allows, whatever the device id')
    .check(holding(attributeProblems)),
);

const subjectAltName = z
  .strictObject({
    always: distinct(generalNameTemplate.check(holding(generalNameProblems))),
    onRequest: distinct(grantableNameTemplate.check(holding(generalNameProblems))),
    registered: z
      .enum(['never', 'onRequest', 'always'])
      .optional()
      .describe("the names that the device's registration lists; never is the default"),
  })
  .refine(
    ({ always, onRequest }) =>
      !areDistinct(always) || !areDistinct(onRequest) || areDistinct([...always, ...onRequest]),
    'a name is listed under both always and onRequest',
  );

const keyUsage = z.enum(keysOf(keyUsageBits), {
  error: ({ input }) =>
    input === 'keyCertSign' || input === 'cRLSign'
      ? `${input} makes a CA, and no profile makes one`
      : `must be one of ${Object.keys(keyUsageBits).join(', ')}`,
});

/** Of what is no object identifier. */
function noExtendedKeyUsage(text: string): string {
  const refused = [...refusedExtendedKeyUsages.values()].find((why) => why.startsWith(`${text},`));
  return refused === undefined
    ? `must be one of ${Object.keys(extendedKeyUsages).join(', ')}, or a dotted object identifier`
    : `no profile may grant ${refused}`;
}

const extendedKeyUsage = z.union([
  z.enum(keysOf(extendedKeyUsages)),
  z
    .string()
    .regex(dottedForm, { error: ({ input }) => noExtendedKeyUsage(String(input)) })
    .refine((identifier) => !refusedExtendedKeyUsages.has(identifier), {
      error: ({ input }) => `no profile may grant ${refusedExtendedKeyUsages.get(String(input))}`,
    })
    .refine((identifier) => !Object.values<string>(extendedKeyUsages).includes(identifier), {
      error: 'has a name: write that',
    }),
]);

const certificatePolicy = z.strictObject({
  policyIdentifier: dottedObjectIdentifier.refine((identifier) => identifier !== '2.5.29.32.0', {
    error: 'anyPolicy is for CAs',
  }),
  cPSuri: z
    .url({ protocol: /^https?$/ })
    .max(200)
    .refine((text) => uriProblem(text) === undefined, { error: ({ input }) => uriProblem(String(input)) })
    .optional(),
});

const furtherExtension = z.strictObject({
  extnID: dottedObjectIdentifier.refine((identifier) => reservedExtension(identifier) === undefined, {
    error: ({ input }) => `${reservedExtension(String(input))} is not a profile's to add`,
  }),
  critical: z.boolean(),
  extnValue: z
    .string()
    .regex(/^(?:[0-9a-f]{2})+$/, 'must be lower-case hex')
    .max(4096)
    .refine(isOneElement, 'must be one element of DER'),
});

function isOneElement(hex: string): boolean {
  try {
    const reader = DerReader.ofInput(Buffer.from(hex, 'hex'));
    reader.readAny();
    reader.expectEnd('extnValue');
    return true;
  } catch (error) {
    if (error instanceof DerError) return false;
    throw error;
  }
}

const renewal = z
  .strictObject({
    windowDays: z.int().min(1).max(3650).optional(),
    windowPercent: z.int().min(1).max(100).optional(),
    key: z.enum(['new', 'same', 'either']),
  })
  .refine(
    ({ windowDays, windowPercent }) => (windowDays === undefined) !== (windowPercent === undefined),
    'exactly one of windowDays and windowPercent',
  );

const quota = z
  .strictObject({
    liveCertificatesPerDevice: z.int().min(1).max(1000).optional(),
    perDevicePerDay: z.int().min(1).max(1000).optional(),
    perFleetPerHour: z.int().min(1).max(100_000_000).optional(),
    perHour: z.int().min(1).max(100_000_000).optional(),
  })
  .refine((limits) => Object.values(limits).some((limit) => limit !== undefined), 'no limit is named');

export const profileSchema = z
  .strictObject({
    name: name.describe('of the profile, and of its file'),
    issuer: name.describe('the issuing CA: its id, or a name that the issuers table resolves'),
    validity,
    keys,
    subject: subject.describe('the subject, whatever the CSR says; none: the subjectAltName alone says who it is'),
    subjectAltName,
    keyUsage: distinct(keyUsage).min(1),
    extendedKeyUsage: distinct(extendedKeyUsage).min(1),
    certificatePolicies: distinct(certificatePolicy).min(1).optional(),
    extensions: z
      .array(furtherExtension)
      .min(1)
      .optional()
      .describe('further extensions, the same in every certificate'),
    revocation: z
      .enum(['crl', 'none'])
      .optional()
      .describe('crl, the default: a distribution point; none, for 24 hours at most: noRevAvail (RFC 9608) instead'),
    authorityInfoAccess: z.enum(['include', 'omit']).optional().describe("where the issuing CA's certificate is"),
    ignored: z.strictObject({
      subjectAttributes: distinct(z.enum(keysOf(attributeTypes))),
      extensions: distinct(z.union([z.enum(keysOf(ignorableExtensions)), dottedObjectIdentifier])),
      subjectAltNames: distinct(z.enum(generalNameKinds))
        .optional()
        .describe('kinds of names that are left out where they are not granted, instead of refused'),
    }),
    registration: z.enum(['required', 'optional']),
    renewal: renewal.optional(),
    quota: quota.optional(),
    allowedSenders: z.union(
      [
        z.enum(['any', 'registered']),
        distinct(z.string().regex(principalIdPattern, `must be a principal id: ${principalIdForm}`)).min(
          1,
          'nobody is listed',
        ),
      ],
      { error: 'must be any, registered, or a list of principal ids' },
    ),
  })
  .check(({ value, issues }) => {
    for (const { path, message } of contradictionsOf(value)) {
      issues.push({ code: 'custom', input: value, path: [...path], message });
    }
  });

export type ProfileContents = z.infer<typeof profileSchema>;

interface Contradiction {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What each field may say by itself, and all of them together may not. */
function contradictionsOf(profile: ProfileContents): readonly Contradiction[] {
  const {
    keys: allowed,
    subjectAltName: names,
    validity: lifetime,
    revocation,
    renewal: renewing,
    quota: limits,
  } = profile;
  const found: Contradiction[] = [];
  const say = (message: string, ...path: readonly (string | number)[]) => found.push({ path, message });
  const others = [...(allowed.ec === undefined ? [] : ['EC']), ...(allowed.ed25519 === true ? ['Ed25519'] : [])];
  for (const [index, usage] of profile.keyUsage.entries()) {
    if ((usage === 'keyEncipherment' || usage === 'dataEncipherment') && others.length > 0) {
      say(
        `${usage} is for RSA keys (RFC 8813 section 3, RFC 8410 section 5), and ${others.join(' and ')} keys are allowed`,
        'keyUsage',
        index,
      );
    }
    if (usage === 'keyAgreement' && (allowed.rsa !== undefined || allowed.ed25519 === true)) {
      say(
        'keyAgreement is for EC keys (RFC 3279 section 2.3.1, RFC 8410 section 5), and others are allowed',
        'keyUsage',
        index,
      );
    }
  }
  for (const [index, usage] of profile.extendedKeyUsage.entries()) {
    const consistent = consistentKeyUsages[usage];
    if (consistent !== undefined && !consistent.some((each) => profile.keyUsage.includes(each))) {
      say(
        `${usage} goes with a keyUsage of ${consistent.join(' or ')} (RFC 5280 section 4.2.1.12)`,
        'extendedKeyUsage',
        index,
      );
    }
  }
  const grantable = [...names.always, ...names.onRequest];
  const hasRegistered = names.registered !== undefined && names.registered !== 'never';
  if (profile.extendedKeyUsage.includes('serverAuth') && !hasRegistered && !grantable.some(isOfServer)) {
    say(
      'a server is looked for by a dNSName, an iPAddress or a URI with a host (RFC 9525 section 2), and none can be granted',
      'subjectAltName',
    );
  }
  const alwaysLength = lengthOfNames(names.always.flatMap((each) => longestNameOf(each) ?? []));
  if (alwaysLength > longestAlwaysGranted) {
    say(
      `with the longest device id these have ${alwaysLength} bytes together; at most ${longestAlwaysGranted}`,
      'subjectAltName',
      'always',
    );
  }
  if (names.always.length === 0)
    say('at least one name must always be granted: certificates without any say nobody', 'subjectAltName', 'always');
  if (revocation === 'none' && lifetimeOf(lifetime) > longestWithoutRevocation) {
    say('certificates of more than 24 hours must be revocable', 'revocation');
  }
  if (
    renewing !== undefined &&
    lifetime.end !== 'never' &&
    windowOf(renewing, lifetimeOf(lifetime)) >= leftOf(lifetime)
  ) {
    say(
      'the window is as long as the lifetime, or as what is left of it after backdateMinutes: each could be renewed at once',
      'renewal',
      renewing.windowDays === undefined ? 'windowPercent' : 'windowDays',
    );
  }
  if (renewing !== undefined && lifetime.end === 'never') {
    say('a certificate that never ends is never renewed', 'renewal');
  }
  if (renewing !== undefined && limits?.liveCertificatesPerDevice === 1) {
    say('a renewal makes a second live certificate until the first ends', 'quota', 'liveCertificatesPerDevice');
  }
  if (limits?.perFleetPerHour !== undefined && profile.registration !== 'required') {
    say('a device is of a fleet by its registration, which is optional here', 'quota', 'perFleetPerHour');
  }
  const identifiers = (profile.extensions ?? []).map(({ extnID }) => extnID);
  if (!areDistinct(identifiers)) say('an extension is listed twice (RFC 5280 section 4.2)', 'extensions');
  const policies = (profile.certificatePolicies ?? []).map(({ policyIdentifier }) => policyIdentifier);
  if (!areDistinct(policies)) say('a policy is listed twice (RFC 5280 section 4.2.1.4)', 'certificatePolicies');
  return found;
}

/** A renewal's window, in milliseconds. @param lifetime of the certificate, likewise */
export const windowOf = (
  {
    windowDays,
    windowPercent = 0,
  }: { readonly windowDays?: number | undefined; readonly windowPercent?: number | undefined },
  lifetime: number,
): number => (windowDays === undefined ? Math.floor((lifetime * windowPercent) / 100) : windowDays * 86_400_000);

/** Of a certificate's lifetime when it is issued: it began before that. */
const leftOf = (lifetime: ProfileContents['validity']): number =>
  lifetimeOf(lifetime) - lifetime.backdateMinutes * 60_000;

/** RFC 9525 section 2: DNS-ID, IP-ID, and URI-ID, whose URI has a host. */
const isOfServer = (entry: { readonly dNSName?: unknown; readonly uniformResourceIdentifier?: unknown }): boolean =>
  entry.dNSName !== undefined ||
  'iPAddress' in entry ||
  /^[a-z][a-z0-9+.-]*:\/\//i.test(String(entry.uniformResourceIdentifier));

/** RFC 5280 section 4.2.1.12: "may be consistent". */
const consistentKeyUsages: Readonly<Partial<Record<string, readonly KeyUsage[]>>> = {
  serverAuth: ['digitalSignature', 'keyEncipherment', 'keyAgreement'],
  clientAuth: ['digitalSignature', 'keyAgreement'],
  codeSigning: ['digitalSignature'],
  emailProtection: ['digitalSignature', 'nonRepudiation', 'keyEncipherment', 'keyAgreement'],
};

/** notAfter - notBefore, both inclusive, and the second between; milliseconds. Without an end: Infinity. */
export function lifetimeOf(lifetime: {
  readonly days?: number | undefined;
  readonly hours?: number | undefined;
}): number {
  if (lifetime.days !== undefined) return lifetime.days * 86_400_000;
  return lifetime.hours === undefined ? Number.POSITIVE_INFINITY : lifetime.hours * 3_600_000;
}
