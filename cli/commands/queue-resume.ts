import { operatorProbes } from '../../shared/breaker/index.ts';
import { table } from '../../shared/terminal/index.ts';
import { adviceOnUnreadable, askedJson, changeBreaker, letItLook, readBreakers } from '../breakers.ts';
import { defineCommand } from '../command.ts';
import { notEmpty } from '../values.ts';

interface Options {
  readonly issuer?: string;
}

export const command = defineCommand<Options>({
  details: [
    'Of every active issuer, or of one, whatever opened its breaker. One batch tries the signer: when it signs, all may; when',
    'it does not, the breaker opens again. After a refused PIN, seal the right one first, or set the password in the HSM to',
    'the sealed one: each try counts towards locking the crypto user out. A breaker that is not open is left as it is. In JSON,',
    'mappingsFollowed says whether check-signer looked at once, which enables the event source mappings that were disabled with',
    'the pause; else it does within a minute.',
  ],
  declare: (command) => command.option('--issuer <id>', 'of this issuing CA alone', notEmpty),
  run: async (session, { issuer }) => {
    const { breakers, records, unreadable } = await readBreakers(session, issuer);
    const asked = await Promise.all(
      records.map((record) =>
        changeBreaker(
          breakers,
          record,
          ({ state }) => state !== 'open',
          (present) => breakers.resume(present, operatorProbes, session.now()),
        ),
      ),
    );
    for (const one of unreadable) session.note(adviceOnUnreadable(one));
    const isTold = asked.length > 0 && (await letItLook(session));
    return {
      exitCode: asked.length > 0 && unreadable.length === 0 ? 0 : 1,
      json: askedJson(asked, unreadable, isTold),
      lines:
        asked.length === 0
          ? [unreadable.length === 0 ? 'There is no active issuer.' : 'No breaker was changed.']
          : [
              ...table(
                ['ISSUER', 'BREAKER'],
                asked.map(({ record: { issuerId, state } }) => [issuerId, state]),
              ),
              '',
              ...asked
                .filter(({ isChanged }) => !isChanged)
                .map(({ record: { issuerId, state } }) => `${issuerId} was ${state} already: nothing was to be done.`),
              'What comes of it: mintmark queue status',
            ],
    };
  },
});
