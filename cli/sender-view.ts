import type { Grant, SenderRecord } from '../shared/ledger/index.ts';
import { factLines } from './facts.ts';
import { isoTime, shortTime } from './json.ts';

/** A row of the senders table as --json has it; scripts read it, so fields are added, never renamed. */
export const senderJson = ({ principalId, arn, held, addedAt, note }: SenderRecord) => ({
  principalId,
  arn: arn ?? null,
  /** A list of names, or "*"; null where the row cannot be read. */
  fleets: typeof held === 'string' ? null : held.fleets,
  profiles: typeof held === 'string' ? null : held.profiles,
  problem: typeof held === 'string' ? held : null,
  addedAt: isoTime(addedAt) ?? null,
  note: note ?? null,
});

export const grantText = (grant: Grant): string => {
  if (grant === '*') return 'all';
  return grant.length === 0 ? 'none' : grant.join(', ');
};

export const senderHead = ['PRINCIPAL', 'ARN', 'FLEETS', 'PROFILES', 'ADDED', 'NOTE'];

export const senderRow = ({ principalId, arn, held, addedAt, note }: SenderRecord): string[] => [
  principalId,
  arn ?? '',
  ...(typeof held === 'string' ? ['unreadable', 'unreadable'] : [grantText(held.fleets), grantText(held.profiles)]),
  shortTime(addedAt),
  note ?? '',
];

/** For a person, a line for each thing that is known. */
export function describeSender(
  { principalId, arn, held, addedAt, note }: SenderRecord,
  more: readonly (readonly [string, string | undefined])[] = [],
): string[] {
  return factLines([
    ['principal', principalId],
    ['ARN', arn],
    ...(typeof held === 'string'
      ? ([['problem', held]] as const)
      : ([
          ['fleets', grantText(held.fleets)],
          ['profiles', grantText(held.profiles)],
        ] as const)),
    ['added at', shortTime(addedAt)],
    ['note', note],
    ...more,
  ]);
}
