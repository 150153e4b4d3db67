import { operatorProbes } from '../../shared/breaker/index.ts';
import { table } from '../../shared/terminal/index.ts';
import { adviceOnUnreadable, askedJson, changeBreaker, letItLook, readBreakers } from '../breakers.ts';
import { defineCommand } from '../command.ts';
import { laterTries } from '../pins-in-doubt.ts';
import { notEmpty } from '../values.ts';

interface Options {
  readonly issuer?: string;
}

/** A breaker whose PIN is in doubt, left as it is. */
interface KeptBack {
  readonly issuerId: string;
  /** The issuer that is to sign first; null where the PIN was refused while the command ran. */
  readonly waitsFor: string | null;
}

export const command = defineCommand<Options>({
  details: [
    'Of every active issuer, or of one, whatever opened its breaker. One batch tries the signer: when it signs, all may; when',
    'it does not, the breaker opens again. After a refused PIN, seal the right one first, or set the password in the HSM to',
    'the sealed one: each try counts towards locking the crypto user out, whom the issuers of a cluster share. So without',
    '--issuer only one breaker of each cluster whose PIN is in doubt is resumed; the others are left as they are (keptBack in JSON, and',
    'exit code 1) until that one has signed, or is named. A breaker that is not open is left as it is. In JSON,',
    'mappingsFollowed says whether check-signer looked at once, which enables the event source mappings that were disabled with',
    'the pause; else it does within a minute.',
  ],
  declare: (command) => command.option('--issuer <id>', 'of this issuing CA alone', notEmpty),
  run: async (session, { issuer }) => {
    const { breakers, records, unreadable, clusters } = await readBreakers(session, issuer);
    const later = laterTries(records, clusters);
    const asked = await Promise.all(
      records.map((record) => {
        const mayTryPin = record.isPinDoubtful === true && !later.has(record.issuerId);
        return changeBreaker(
          breakers,
          record,
          ({ state, isPinDoubtful }) => state !== 'open' || (isPinDoubtful === true && !mayTryPin),
          (present) => breakers.resume(present, operatorProbes, session.now()),
        );
      }),
    );
    const keptBack = asked
      .filter(({ record, isChanged }) => !isChanged && record.state === 'open')
      .map(({ record: { issuerId } }): KeptBack => ({ issuerId, waitsFor: later.get(issuerId) ?? null }));
    for (const one of unreadable) session.note(adviceOnUnreadable(one));
    const isTold = asked.length > 0 && (await letItLook(session));
    return {
      exitCode: asked.length > 0 && unreadable.length === 0 && keptBack.length === 0 ? 0 : 1,
      json: { ...askedJson(asked, unreadable, isTold), keptBack },
      lines:
        asked.length === 0
          ? [unreadable.length === 0 ? 'There is no active issuer.' : 'No breaker was changed.']
          : [
              ...table(
                ['ISSUER', 'BREAKER'],
                asked.map(({ record: { issuerId, state, held } }) => [issuerId, held ? `${state}, held` : state]),
              ),
              '',
              ...asked
                .filter(({ record, isChanged }) => !isChanged && record.state !== 'open')
                .map(({ record: { issuerId, state } }) => `${issuerId} was ${state} already: nothing was to be done.`),
              ...keptBack.map(sayKeptBack),
              'What comes of it: mintmark queue status',
            ],
    };
  },
});

function sayKeptBack({ issuerId, waitsFor }: KeptBack): string {
  if (waitsFor === null) return `${issuerId} was left as it is: its PIN was refused just now.`;
  return (
    `${issuerId} was left as it is: its PIN is in doubt, as that of ${waitsFor} is, in the same cluster, and each try is a login. ` +
    `When ${waitsFor} has signed: mintmark queue resume. Where no request of ${waitsFor} comes: mintmark queue resume --issuer ${issuerId}.`
  );
}
