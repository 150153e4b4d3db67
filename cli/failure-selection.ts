import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { type ErrorCode, errorKinds, type FailureClass, failureClasses } from '../shared/errors.ts';
import type { FailureRecord, FailureRecords } from '../shared/ledger/index.ts';
import { type DaysOptions, declareDays } from './days.ts';
import { UsageError } from './errors.ts';
import { deviceOf } from './failure-view.ts';
import { notEmpty } from './values.ts';

/** Which failures are meant, besides their days: each option may be given several times, and one of its values must be the row's. */
export interface FailureSelection extends DaysOptions {
  readonly class?: readonly FailureClass[];
  readonly code?: readonly ErrorCode[];
  readonly sender?: readonly string[];
  readonly device?: readonly string[];
}

/** What a row is compared by, in the order in which it is told. */
const criteria = {
  class: ({ failureClass }: FailureRecord, wanted: string) => failureClass === wanted,
  code: ({ code }: FailureRecord, wanted: string) => code === wanted,
  sender: ({ sender }: FailureRecord, wanted: string) => sender === wanted || sender.startsWith(`${wanted}:`),
  device: (failure: FailureRecord, wanted: string) => deviceOf(failure)?.deviceId === wanted,
} as const;

type Criterion = keyof typeof criteria;
const criterionNames = Object.keys(criteria) as Criterion[];

export const declareFailureSelection = (command: Command): Command =>
  declareDays(
    command
      .addOption(severalOf('--class <class>', 'of this class', failureClasses, oneOfThese(failureClasses)))
      .addOption(severalOf('--code <code>', 'with this code, one of docs/errors.md', undefined, knownCode))
      .addOption(severalOf('--sender <id>', 'of this sender, with its session or without', undefined, notEmpty))
      .addOption(
        severalOf('--device <id>', 'of this device, also where only the message says so', undefined, notEmpty),
      ),
  );

/** What every command that takes a selection says of it. */
export const failureSelectionDetails: readonly string[] = [
  'Each of --class, --code, --sender and --device may be given several times: a failure is meant that has one of the values',
  'of each.',
];

/** An option that may be given several times: its values, none of which is dropped. */
export function severalOf<Value extends string>(
  flags: string,
  description: string,
  choices: readonly string[] | undefined,
  parse: (text: string) => Value,
): Option {
  const option = new Option(flags, description);
  if (choices !== undefined) option.choices(choices);
  return option.argParser<readonly Value[] | undefined>((text, earlier) => [...(earlier ?? []), parse(text)]);
}

/** @returns a parser of the values there are, in any case */
export const oneOfThese =
  <Value extends string>(choices: readonly Value[]): ((text: string) => Value) =>
  (text) => {
    const known = choices.find((choice) => choice === text.toLowerCase());
    if (known === undefined) throw new InvalidArgumentError(`Allowed choices are ${choices.join(', ')}.`);
    return known;
  };

/** In any case. */
function knownCode(text: string): ErrorCode {
  const wanted = text.toUpperCase();
  const codes = Object.keys(errorKinds) as ErrorCode[];
  const known = codes.find((code) => code === wanted);
  if (known !== undefined) return known;
  const alike = codes.filter((code) => wanted !== '' && (code.includes(wanted) || wanted.includes(code)));
  const hint = alike.length === 0 ? '' : ` Is it ${alike.slice(0, 5).join(', ')}?`;
  throw new InvalidArgumentError(`There is no such code; docs/errors.md has them all.${hint}`);
}

/**
 * Nothing is done to all failures because nobody said which.
 * @param done what a dry run does to nothing: `sent`
 * @throws UsageError without message ids and without options that name any
 */
export function requireNamed(selection: FailureSelection, messageIds: readonly string[], done: string): void {
  const named = [selection.since, selection.until, ...criterionNames.map((name) => selection[name])];
  if (messageIds.length > 0 || named.some((one) => one !== undefined)) return;
  throw new UsageError(
    'It is not said which failures are meant.',
    `Give message ids, or --class, --code, --sender, --device, --since or --until; with --dry-run nothing is ${done}.`,
  );
}

/** The options as they were typed, without the days: ` with --class bug --class store`, or nothing. */
export function filtersOf(selection: FailureSelection, states: readonly string[] = []): string {
  const given = [
    ...criterionNames.flatMap((name) => (selection[name] ?? []).map((value) => `--${name} ${value}`)),
    ...states.map((state) => `--state ${state}`),
  ];
  return given.length === 0 ? '' : ` with ${given.join(' ')}`;
}

/** `from 2026-11-16 to 2026-11-22`. @param days the newest first */
export const periodOf = (days: readonly string[]): string => `from ${days.at(-1)} to ${days[0]}`;

/** Which options a row does not answer to; none for one that is meant. */
export const mismatchesOf = (selection: FailureSelection, failure: FailureRecord): Criterion[] =>
  criterionNames.filter((name) => selection[name]?.every((wanted) => !criteria[name](failure, wanted)) ?? false);

/** A sentence on a row that was named by its id and that the options leave out. */
export function leftOut(failure: FailureRecord, mismatches: readonly Criterion[]): string {
  const whats: Readonly<Record<Criterion, string>> = {
    class: `of the class ${failure.failureClass}`,
    code: `with the code ${failure.code}`,
    sender: `of the sender ${failure.sender}`,
    device: `of the device ${deviceOf(failure)?.deviceId ?? 'that nobody knows'}`,
  };
  return `${failure.messageId} is ${mismatches.map((name) => whats[name]).join(', ')}: the options leave it out.`;
}

/** Those of the ids, whatever the options say of them; without ids, those that the options name. */
export async function* selectFailures(
  records: FailureRecords,
  selection: FailureSelection,
  messageIds: readonly string[],
  days: readonly string[],
): AsyncGenerator<FailureRecord, void, undefined> {
  if (messageIds.length > 0) {
    yield* await records.get([...new Set(messageIds)], days);
    return;
  }
  for await (const { failure } of records.find(selection.class ?? failureClasses, days)) {
    if (mismatchesOf(selection, failure).length === 0) yield failure;
  }
}
