import { isFleetName } from '../enrolment/index.ts';
import {
  deviceIdPattern,
  lengthOfNames,
  longestRegistered,
  principalIdForm,
  principalIdPattern,
  readRegisteredName,
} from '../issuance/index.ts';
import { listTerms, type TermChanges } from '../ledger/index.ts';
import { canonicalRegisteredName, registeredNameForms } from './registered-name.ts';

/** What a file says of a device. */
export interface Registration {
  readonly deviceId: string;
  readonly terms: TermChanges;
}

/** What a file may say of a device, in the order in which it is documented. */
export const registrationFields = [
  'deviceId',
  'fleet',
  'allowedSenders',
  'pinnedKeys',
  'allowedNames',
  'maximumLiveCertificates',
] as const;

export type RegistrationField = (typeof registrationFields)[number];

export const isRegistrationField = (name: string): name is RegistrationField =>
  (registrationFields as readonly string[]).includes(name);

export const isListField = (name: string): boolean => (listTerms as readonly string[]).includes(name);

/** What stands for "taken away" in a format that has no null; no field has it as a value. */
export const removal = '-';

/** A field's value that is not one, in a sentence that says what was expected. */
export interface FieldProblem {
  readonly field: RegistrationField;
  readonly problem: string;
}

export type ReadRegistration =
  | { readonly registration: Registration }
  | { readonly problems: readonly [FieldProblem, ...FieldProblem[]] };

const longestList = 100;
const maximumLiveCertificates = 1_000;

interface ListRule {
  /** For a sentence: the value is no ..., expected is ... */
  readonly what: string;
  readonly expected: string;
  /** As it is stored; undefined for what is none. */
  readonly canonical: (text: string) => string | undefined;
  /** What is wrong with all of them together, for a sentence. */
  readonly problemOfAll?: (list: readonly string[]) => string | undefined;
}

/** More than fits into a certificate would be told to the device, and to nobody who can mend it. */
function tooLong(names: readonly string[]): string | undefined {
  const length = lengthOfNames(names.flatMap((text) => readRegisteredName(text)?.name ?? []));
  return length <= longestRegistered
    ? undefined
    : `Its names have ${length} bytes in a certificate; expected: at most ${longestRegistered} together.`;
}

const listRules: Readonly<Record<(typeof listTerms)[number], ListRule>> = {
  allowedSenders: {
    what: 'principal id',
    expected: principalIdForm,
    canonical: (text) => (principalIdPattern.test(text) ? text : undefined),
  },
  pinnedKeys: {
    what: 'SHA-256 of a SubjectPublicKeyInfo',
    expected: '64 hex digits',
    canonical: (text) => (/^[0-9a-f]{64}$/i.test(text) ? text.toLowerCase() : undefined),
  },
  allowedNames: {
    what: 'name for a subjectAltName',
    expected: registeredNameForms,
    canonical: canonicalRegisteredName,
    problemOfAll: tooLong,
  },
};

/**
 * A registration from the values of its fields: undefined says nothing of a field, null takes it away.
 * @param values by field
 */
export function readRegistration(values: Readonly<Partial<Record<RegistrationField, unknown>>>): ReadRegistration {
  const problems: FieldProblem[] = [];
  const terms: Record<string, unknown> = {};
  const keep = <Value>(field: RegistrationField, read: (value: unknown) => Value | Problem): void => {
    const value = values[field];
    if (value === undefined) return;
    const term = value === null ? null : read(value);
    if (term instanceof Problem) problems.push({ field, problem: term.sentence });
    else terms[field] = term;
  };
  const deviceId = readDeviceId(values.deviceId);
  if (deviceId instanceof Problem) problems.push({ field: 'deviceId', problem: deviceId.sentence });
  keep('fleet', readFleet);
  for (const field of listTerms) keep(field, (value) => readList(value, listRules[field]));
  keep('maximumLiveCertificates', readMaximum);
  const [first, ...others] = problems;
  if (first !== undefined) return { problems: [first, ...others] };
  return { registration: { deviceId: deviceId as string, terms } };
}

class Problem {
  readonly sentence: string;

  constructor(sentence: string) {
    this.sentence = sentence;
  }
}

function readDeviceId(value: unknown): string | Problem {
  if (typeof value === 'string' && deviceIdPattern.test(value)) return value;
  const expected = '1 to 64 of A-Z a-z 0-9 . _ : -, the first a letter or digit';
  return value === undefined || value === null
    ? new Problem(`It is missing; expected: ${expected}.`)
    : new Problem(`${shown(value)} is no device id; expected: ${expected}.`);
}

function readFleet(value: unknown): string | Problem {
  // `*` is every fleet where senders are registered.
  if (typeof value === 'string' && isFleetName(value) && value !== '*' && value !== removal) return value;
  return new Problem(
    `${shown(value)} is no fleet name; expected: 1 to 128 letters, digits and punctuation marks without spaces, not * or ${removal}.`,
  );
}

function readMaximum(value: unknown): number | Problem {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= maximumLiveCertificates) {
    return value as number;
  }
  return new Problem(`${shown(value)} is no limit; expected: a whole number from 1 to ${maximumLiveCertificates}.`);
}

function readList(value: unknown, { what, expected, canonical, problemOfAll }: ListRule): readonly string[] | Problem {
  if (!Array.isArray(value)) return new Problem(`${shown(value)} is no list; expected: a list of texts.`);
  if (value.length > longestList) return new Problem(`It lists ${value.length}; expected: at most ${longestList}.`);
  const list: string[] = [];
  for (const one of value as readonly unknown[]) {
    const text = typeof one === 'string' ? canonical(one) : undefined;
    if (text === undefined) return new Problem(`${shown(one)} is no ${what}; expected: ${expected}.`);
    if (list.includes(text)) return new Problem(`${shown(one)} is listed twice.`);
    list.push(text);
  }
  const problem = problemOfAll?.(list);
  return problem === undefined ? list : new Problem(problem);
}

/** A value from outside, for a sentence: of bounded length. What is nested is not shown. */
function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'A list' : 'An object';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}..."` : text;
}
