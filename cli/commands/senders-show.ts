import { type SenderRecord, SenderRecords } from '../../shared/ledger/index.ts';
import { defineCommand } from '../command.ts';
import { askIam } from '../iam-principal.ts';
import { senderNamed } from '../sender-name.ts';
import { rowsOfSender } from '../sender-rows.ts';
import { describeSender, senderJson } from '../sender-view.ts';
import type { Session } from '../session.ts';

/** Whether the ARN that a sender was added by still has the id that SQS attests. */
interface Identity {
  readonly state: 'current' | 'replaced' | 'gone' | 'unknown';
  /** A sentence. */
  readonly detail: string;
  /** The ARN's id today, where that is another one. */
  readonly presentId?: string;
}

export const command = defineCommand({
  details: [
    'Asks IAM whether the ARN still has the id that is registered: a role or user that was deleted and made again under its',
    'name has another id, and is another sender. By ARN, every id that was added under it is shown. Exit code 1 when the id',
    "is not the ARN's any more, or the row cannot be read.",
  ],
  declare: (command) => command.argument('<sender>', "the role's or user's ARN or id, or a SenderId with its session"),
  run: async (session, _, [sender = '']) => {
    const records = new SenderRecords(await session.clients.dynamoDB(), session.target().tables.senders);
    const rows = await rowsOfSender(records, senderNamed(sender), session.interrupted);
    if (rows.length === 0) return { exitCode: 1, json: { senders: [] }, lines: [`${sender} is not registered.`] };
    const shown = await Promise.all(rows.map(async (row) => ({ row, identity: await identityOf(session, row) })));
    const isAllWell = shown.every(
      ({ row: { held }, identity: { state } }) => typeof held !== 'string' && state !== 'replaced' && state !== 'gone',
    );
    return {
      exitCode: isAllWell ? 0 : 1,
      json: { senders: shown.map(({ row, identity }) => ({ ...senderJson(row), identity })) },
      lines: shown.flatMap(({ row, identity }, index) => [
        ...(index === 0 ? [] : ['']),
        ...describeSender(row, [['identity', `${identity.state}: ${identity.detail}`]]),
      ]),
    };
  },
});

async function identityOf(session: Session, { principalId, arn }: SenderRecord): Promise<Identity> {
  if (arn === undefined) return { state: 'unknown', detail: 'It was added by its id, so no ARN is known.' };
  const named = senderNamed(arn);
  if (named.by === 'id') return { state: 'unknown', detail: 'What is stored as its ARN is none.' };
  try {
    const answer = await askIam(await session.clients.iam(), named, session.interrupted);
    switch (answer.found) {
      case 'principal':
        return answer.principalId === principalId
          ? { state: 'current', detail: 'The ARN has this id.' }
          : replaced(answer.principalId, named.kind);
      case 'nothing':
        return { state: 'gone', detail: `The account of these credentials has no such ${named.kind}.` };
      case 'another':
        return { state: 'unknown', detail: `In the account of these credentials that name is ${answer.arn}.` };
    }
  } catch (error) {
    // What DynamoDB said stands, whatever IAM does not say.
    return { state: 'unknown', detail: session.explain(error).message };
  }
}

const replaced = (presentId: string, kind: string): Identity => ({
  state: 'replaced',
  detail: `The ARN has the id ${presentId} now: the ${kind} was deleted and made again. Add it again, and remove this one.`,
  presentId,
});
