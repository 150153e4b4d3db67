import { type Grant, type ReadOptions, type SenderRecord, SenderRecords } from '../../shared/ledger/index.ts';
import { table } from '../../shared/terminal/index.ts';
import { defineCommand } from '../command.ts';
import { takePage } from '../cursor.ts';
import { senderHead, senderJson, senderRow } from '../sender-view.ts';
import { countTo, notEmpty } from '../values.ts';

interface Options {
  readonly fleet?: string;
  readonly profile?: string;
  readonly limit: number;
  readonly cursor?: string;
}

export const command = defineCommand<Options>({
  details: [
    'In no order. Who is not in it is let in by profiles that say allowedSenders: any, and refused by those that say',
    'registered. --fleet and --profile leave those that may enrol it, the ones registered for all among them.',
  ],
  declare: (command) =>
    command
      .option('--fleet <name>', 'who may enrol devices of this fleet', notEmpty)
      .option('--profile <name>', 'who may use this profile', notEmpty)
      .option('--limit <count>', 'at most so many rows', countTo(1_000), 50)
      .option('--cursor <cursor>', 'go on where a list ended', notEmpty),
  run: async (session, options) => {
    const records = new SenderRecords(await session.clients.dynamoDB(), session.target().tables.senders);
    const find = (from: ReadOptions) => records.list(from);
    const { page, cursor } = await takePage(find, options, ({ sender }) => isMeant(sender, options));
    const senders = page.map(({ sender }) => sender);
    return {
      exitCode: 0,
      json: { senders: senders.map(senderJson), cursor: cursor ?? null },
      lines: [
        ...(senders.length === 0
          ? ['There are no such senders.']
          : [
              ...table(senderHead, senders.map(senderRow)),
              '',
              senders.length === 1 ? '1 sender' : `${senders.length} senders`,
            ]),
        ...(cursor === undefined ? [] : [`There are more: the same with --cursor ${cursor}`]),
      ],
    };
  },
});

/** Nobody may do anything by a row that cannot be read. */
function isMeant({ held }: SenderRecord, { fleet, profile }: Options): boolean {
  if (typeof held === 'string') return fleet === undefined && profile === undefined;
  return isIn(held.fleets, fleet) && isIn(held.profiles, profile);
}

const isIn = (grant: Grant, name: string | undefined): boolean =>
  name === undefined || grant === '*' || grant.includes(name);
