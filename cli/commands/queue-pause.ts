import type { BreakerRecord } from '../../shared/breaker/index.ts';
import { table } from '../../shared/terminal/index.ts';
import { adviceOnUnreadable, askedJson, changeBreaker, letItLook, readBreakers } from '../breakers.ts';
import { defineCommand } from '../command.ts';
import { shortTime } from '../json.ts';
import { notEmpty } from '../values.ts';

interface Options {
  readonly issuer?: string;
  readonly because: string;
}

export const command = defineCommand<Options>({
  details: [
    'Opens the breaker of every active issuer, or of one, and holds it: no batch asks the signer until queue resume. What is',
    'being signed ends as it would. Requests stay in the queue, and those that wait longer than giveUpAfterSeconds become',
    'failures, which can be sent again. When every active issuer is paused, the event source mappings of the requests and the',
    'redrive queue are disabled, too: at once where check-signer could be told (mappingsFollowed in JSON), else within a',
    'minute. A breaker that is held already keeps its reason, and the new one is not recorded.',
  ],
  declare: (command) =>
    command
      .option('--issuer <id>', 'of this issuing CA alone', notEmpty)
      .option('--because <text>', 'why, for whoever asks later', notEmpty, 'Paused by hand.'),
  run: async (session, { issuer, because }) => {
    const { requestsQueue, redriveQueue } = session.target();
    const { breakers, records, unreadable } = await readBreakers(session, issuer);
    const asked = await Promise.all(
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
    const isTold = asked.length > 0 && (await letItLook(session));
    const rows = asked.map(({ record: { issuerId, state, reason = '', detail = '' } }) => [
      issuerId,
      `${state}, held`,
      reason,
      detail,
    ]);
    return {
      exitCode: asked.length > 0 && unreadable.length === 0 ? 0 : 1,
      json: askedJson(asked, unreadable, isTold),
      lines:
        asked.length === 0
          ? [unreadable.length === 0 ? 'There is no active issuer.' : 'No breaker was changed.']
          : [
              ...table(['ISSUER', 'BREAKER', 'REASON', 'DETAIL'], rows),
              '',
              ...asked.filter(({ isChanged }) => !isChanged).map(({ record }) => alreadyHeld(record)),
              `While every active issuer is paused, the event source mappings of ${requestsQueue} and ${redriveQueue} are disabled, too.`,
              `To end it: mintmark queue resume${issuer === undefined ? '' : ` --issuer ${issuer}`}`,
            ],
    };
  },
});

function alreadyHeld({ issuerId, since, reason, detail }: BreakerRecord): string {
  const from = since === undefined ? '' : ` since ${shortTime(since)}`;
  const why = [reason, detail?.replace(/\.$/, '')].filter(Boolean).join(', ');
  return `${issuerId} was already paused${from} (${why}); this reason was not recorded.`;
}
