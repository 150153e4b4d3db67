import type { ReadOptions } from '../../shared/ledger/index.ts';
import { table } from '../../shared/terminal/index.ts';
import { certificateJson, listHead, listRow } from '../certificate-view.ts';
import { defineCommand } from '../command.ts';
import { takePage } from '../cursor.ts';
import { declareSelection, type SelectionOptions, select, selectionDetails } from '../selection.ts';
import { countTo, notEmpty } from '../values.ts';

interface Options extends SelectionOptions {
  readonly limit: number;
  readonly cursor?: string;
}

export const command = defineCommand<Options>({
  details: selectionDetails,
  declare: (command) =>
    declareSelection(command)
      .option('--limit <count>', 'at most so many rows', countTo(1_000), 50)
      .option('--cursor <cursor>', 'go on where a list ended', notEmpty),
  run: async (session, options) => {
    const { records, selection, matches } = await select(session, options);
    // Of a whole table few rows may match: it is read in DynamoDB's own pages then, and not a handful at a time.
    const isSearch = selection.by === 'nothing' && (options.issuer ?? options.status) !== undefined;
    const find = ({ after, pageSize }: ReadOptions) =>
      records.find(selection, isSearch ? { after } : { after, pageSize });
    const { page, cursor } = await takePage(find, options, ({ record }) => matches(record));
    return {
      exitCode: 0,
      json: { certificates: page.map(({ record }) => certificateJson(record)), cursor: cursor ?? null },
      lines: [
        ...(page.length === 0
          ? []
          : table(
              listHead,
              page.map(({ record }) => listRow(record)),
            )),
        ...(page.length === 0 ? ['No rows.'] : ['', `${page.length} ${page.length === 1 ? 'row' : 'rows'}`]),
        ...(cursor === undefined ? [] : [`There are more: the same with --cursor ${cursor}`]),
      ],
    };
  },
});
