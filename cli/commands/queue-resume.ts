import { operatorProbes } from '../../shared/breaker/index.ts';
import { table } from '../../shared/terminal/index.ts';
import {
  adviceOnUnreadable,
  breakerJson,
  changeBreaker,
  letItLook,
  readBreakers,
  unreadableJson,
} from '../breakers.ts';
import { defineCommand } from '../command.ts';
import { notEmpty } from '../values.ts';

interface Options {
  readonly issuer?: string;
}

export const command = defineCommand<Options>({
  details: [
    'Of every active issuer, or of one, whatever opened its breaker. One batch tries the signer: when it signs, all may; when',
    'it does not, the breaker opens again. After a refused PIN, seal the right one first, or set the password in the HSM to',
    'the sealed one: each try counts towards locking the crypto user out.',
  ],
  declare: (command) => command.option('--issuer <id>', 'of this issuing CA alone', notEmpty),
  run: async (session, { issuer }) => {
    const { breakers, records, unreadable } = await readBreakers(session, issuer);
    const resumed = await Promise.all(
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
    const isTold = resumed.length > 0 && (await letItLook(session));
    return {
      exitCode: resumed.length > 0 && unreadable.length === 0 ? 0 : 1,
      json: { breakers: [...resumed.map(breakerJson), ...unreadable.map(unreadableJson)], mappingsFollowed: isTold },
      lines:
        resumed.length === 0
          ? [unreadable.length === 0 ? 'There is no active issuer.' : 'No breaker was changed.']
          : [
              ...table(
                ['ISSUER', 'BREAKER'],
                resumed.map(({ issuerId, state }) => [issuerId, state]),
              ),
              '',
              'What comes of it: mintmark queue status',
            ],
    };
  },
});
