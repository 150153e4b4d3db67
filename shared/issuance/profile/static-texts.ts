import { hasSpiffeScheme, isHostName, isMailbox, isUri, isWildcardName } from '../name-forms.ts';
import type { GeneralNameTemplate, GrantableNameTemplate } from './general-names.ts';
import { deviceIdPlaceholder, labelPlaceholder } from './texts.ts';
import type { AttributeType } from './vocabulary.ts';

/**
 * Texts of a profile that no certificate could hold, whatever the device id: with the shortest one that is also a label of a
 * host name, in any case, they must be what their type or kind of name asks for (RFC 5280 section 4.2.1.6, appendix A.1).
 * What a longer or stranger id makes of them is found as such a device asks.
 */

/** The device id that names are tried with. */
export const plainDeviceId = 'x';

/** What is wrong with a text, as `must be ...`, and where in its entry. */
export interface TextProblem {
  readonly path: readonly string[];
  readonly message: string;
}

type Check = (text: string) => string | undefined;

const mustBe =
  (expected: string, isOne: (text: string) => boolean): Check =>
  (text) =>
    isOne(text) ? undefined : `must be ${expected}`;

const withDevice = (text: string): string =>
  text.replaceAll(deviceIdPlaceholder, plainDeviceId).replaceAll(labelPlaceholder, plainDeviceId);

/** Of a UTF8String: what readers of CSRs refuse in names is not put into certificates either. */
function unprintable(text: string): string | undefined {
  const control = /\p{Cc}/u.exec(text)?.[0];
  if (control !== undefined) {
    const codePoint = control.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
    return `must not hold the control character U+${codePoint}`;
  }
  return text.isWellFormed() ? undefined : 'must be whole characters: half of a surrogate pair has no UTF-8';
}

const attributeChecks: Readonly<Partial<Record<AttributeType, Check>>> = {
  countryName: mustBe('two capital letters, as of ISO 3166-1, the same for every device', (text) =>
    /^[A-Z]{2}$/.test(text),
  ),
  // X.680 section 41.4.
  serialNumber: (text) =>
    mustBe("a PrintableString: A-Z a-z 0-9 ' ( ) + , - . / : = ? and spaces", (filled) =>
      /^[A-Za-z0-9 '()+,./:=?-]*$/.test(filled),
    )(withDevice(text)),
};

/** @param entry of the subject: one attribute */
export const attributeProblems = (
  entry: Readonly<Partial<Record<AttributeType, string | undefined>>>,
): readonly TextProblem[] =>
  Object.entries(entry).flatMap(([type, text = '']) =>
    problemAt([type], text, attributeChecks[type as AttributeType] ?? unprintable),
  );

/** A family (`{label}`) has no wildcards in it: one is granted only where it is written down. */
const isHostNameTemplate = (text: string): boolean =>
  isHostName(withDevice(text)) || (!text.includes(labelPlaceholder) && isWildcardName(withDevice(text)));

const isUriTemplate = (text: string): boolean => isUri(withDevice(text));

export const uriProblem: Check = (text) =>
  hasSpiffeScheme(text)
    ? mustBe(
        'a SPIFFE ID (SPIFFE-ID section 2): spiffe:// and a trust domain in lower case, then segments of letters, digits, . - _',
        isUriTemplate,
      )(text)
    : mustBe('an absolute URI (RFC 3986 section 4.3), its host a name or an address', isUriTemplate)(text);

const generalNameChecks = {
  dNSName: mustBe('a host name (RFC 1034 section 3.5), for some device id', isHostNameTemplate),
  uniformResourceIdentifier: uriProblem,
  rfc822Name: mustBe('a mailbox (RFC 5321 section 4.1.2), for some device id', (text) => isMailbox(withDevice(text))),
} as const satisfies Record<string, Check>;

/** @param entry of a subjectAltName: one name */
export function generalNameProblems(entry: GeneralNameTemplate | GrantableNameTemplate): readonly TextProblem[] {
  const { hardwareModuleName, permanentIdentifier, otherName } = entry;
  return [
    ...(['dNSName', 'uniformResourceIdentifier', 'rfc822Name'] as const).flatMap((kind) =>
      problemAt([kind], entry[kind], generalNameChecks[kind]),
    ),
    ...problemAt(['hardwareModuleName', 'hwSerialNum'], hardwareModuleName?.hwSerialNum, unprintable),
    ...problemAt(['permanentIdentifier', 'identifierValue'], permanentIdentifier?.identifierValue, unprintable),
    ...problemAt(['otherName', 'utf8String'], otherName?.utf8String, unprintable),
  ];
}

function problemAt(path: readonly string[], text: string | undefined, check: Check): readonly TextProblem[] {
  const message = text === undefined ? undefined : check(text);
  return message === undefined ? [] : [{ path, message }];
}
