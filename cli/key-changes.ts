import { type Compromise, type KeyChange, KeyRecords } from '../shared/ledger/index.ts';
import { Progress } from '../shared/terminal/index.ts';
import type { Result } from './command.ts';
import { isoTime, shortTime } from './json.ts';
import { keysNamed, type NamedKey, nameOf } from './named-keys.ts';
import type { Session } from './session.ts';

type Known = KeyChange & { readonly outcome: 'changed' | 'unchanged' };

/**
 * Changes what is said of keys, one after the other. Every argument is read before anything is written.
 * @param done of progress: `blocked`
 * @param told a sentence about each that there is a row of, without the key
 */
export async function changeKeys(
  session: Session,
  args: readonly string[],
  done: string,
  change: (records: KeyRecords, spkiSha256: string) => Promise<KeyChange>,
  told: (change: Known) => string,
  effect: string,
): Promise<Result> {
  const named = keysNamed(args, (line) => session.note(line));
  const records = new KeyRecords(await session.clients.dynamoDB(), session.target().tables.keys);
  const progress = new Progress(session.stderr, named.length, done);
  const ended: (NamedKey & KeyChange)[] = [];
  if (named.length > 1) progress.show(0);
  try {
    for (const key of named) {
      if (session.interrupted.aborted) break;
      ended.push({ ...key, ...(await change(records, key.spkiSha256)) });
      if (named.length > 1) progress.show(ended.length);
    }
  } finally {
    progress.end();
  }
  const open = named.length - ended.length;
  return {
    exitCode: open > 0 ? 130 : ended.some(({ outcome }) => outcome === 'unknown') ? 1 : 0,
    json: {
      keys: ended.map((one) => ({
        spkiSha256: one.spkiSha256,
        file: one.file ?? null,
        outcome: one.outcome,
        ...(one.outcome === 'unknown' ? {} : { compromise: compromiseJson(one.compromise) }),
      })),
      open,
    },
    lines: [
      ...ended.map((one) => `${nameOf(one)} ${one.outcome === 'unknown' ? 'was never blocked.' : told(one)}`),
      ...(open > 0 ? [`${open} of ${named.length} not looked at: the same command goes on with them.`] : []),
      ...(ended.some(({ outcome }) => outcome === 'changed') ? [effect] : []),
    ],
  };
}

/** What operators said of a key, as --json has it; scripts read it, so fields are added, never renamed. */
export const compromiseJson = ({ state, compromisedAt, reason, clearedAt }: Compromise) => ({
  state,
  compromisedAt: isoTime(compromisedAt) ?? null,
  reason: reason ?? null,
  clearedAt: isoTime(clearedAt) ?? null,
});

/** `since <time>: <reason>`, as far as it is known; with a space before it. */
export function compromisedSince({ compromisedAt, reason }: Compromise): string {
  const since = compromisedAt === undefined ? '' : ` since ${shortTime(compromisedAt)}`;
  return reason === undefined ? since : `${since}: ${reason}`;
}
