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
  readonly because: string;
}

export const command = defineCommand<Options>({
  details: [
    'Opens the breaker of every active issuer, or of one, and holds it: no batch asks the signer until queue resume. What is',
    'being signed ends as it would. Requests stay in the queue, and those that wait longer than giveUpAfterSeconds become',
    'failures, which can be sent again.',
  ],
  declare: (command) =>
    command
      .option('--issuer <id>', 'of this issuing CA alone', notEmpty)
      .option('--because <text>', 'why, for whoever asks later', notEmpty, 'Paused by hand.'),
  run: async (session, { issuer, because }) => {
    const { breakers, records, unreadable } = await readBreakers(session, issuer);
    const paused = await Promise.all(
      records.map((record) =>
        changeBreaker(
          breakers,
          record,
          ({ state, held }) => state === 'open' && held,
          (present) => breakers.hold(present, { reason: 'OPERATOR', detail: because }, session.now()),
        ),
      ),
    );
    for (const one of unreadable) session.note(adviceOnUnreadable(one));
    const isTold = paused.length > 0 && (await letItLook(session));
    return {
      exitCode: paused.length > 0 && unreadable.length === 0 ? 0 : 1,
      json: { breakers: [...paused.map(breakerJson), ...unreadable.map(unreadableJson)], mappingsFollowed: isTold },
      lines:
        paused.length === 0
          ? [unreadable.length === 0 ? 'There is no active issuer.' : 'No breaker was changed.']
          : table(
              ['ISSUER', 'BREAKER', 'REASON', 'DETAIL'],
              paused.map(({ issuerId, state, reason = '', detail = '' }) => [
                issuerId,
                `${state}, held`,
                reason,
                detail,
              ]),
            ),
    };
  },
});
