import { type Device, DeviceRecords, type ReadOptions } from '../../shared/ledger/index.ts';
import { table } from '../../shared/terminal/index.ts';
import { defineCommand } from '../command.ts';
import { takePage } from '../cursor.ts';
import { deviceHead, deviceJson, deviceRow, stateOf } from '../device-view.ts';
import { countTo, notEmpty, oneOf } from '../values.ts';

interface Options {
  readonly fleet?: string;
  readonly state?: Device['state'];
  readonly limit: number;
  readonly cursor?: string;
}

export const command = defineCommand<Options>({
  details: [
    'In no order. No index is by fleet or state: the table is read until there are so many, consistently (one read',
    'capacity unit for each 4 KB). Of senders, keys and names it says how many each device is limited to; devices show says',
    'which.',
  ],
  declare: (command) =>
    command
      .option('--fleet <name>', 'of this fleet', notEmpty)
      .addOption(oneOf('--state <state>', 'in this state', ['active', 'blocked']))
      .option('--limit <count>', 'at most so many devices', countTo(1_000), 50)
      .option('--cursor <cursor>', 'go on where a list ended', notEmpty),
  run: async (session, options) => {
    const { fleet, state } = options;
    const records = new DeviceRecords(await session.clients.dynamoDB(), session.target().tables.devices);
    // Few may match: the table is read in DynamoDB's own pages then, and not a handful at a time.
    const isSearch = (fleet ?? state) !== undefined;
    const find = ({ after, pageSize }: ReadOptions) => records.find(isSearch ? { after } : { after, pageSize });
    const { page, cursor } = await takePage(
      find,
      options,
      ({ record }) =>
        (fleet === undefined || ('device' in record && record.device.fleet === fleet)) &&
        (state === undefined || stateOf(record) === state),
    );
    return {
      exitCode: 0,
      json: { devices: page.map(({ record }) => deviceJson(record)), cursor: cursor ?? null },
      lines: [
        ...(page.length === 0
          ? ['No devices.']
          : [
              ...table(
                deviceHead,
                page.map(({ record }) => deviceRow(record)),
              ),
              '',
              `${page.length} ${page.length === 1 ? 'device' : 'devices'}`,
            ]),
        ...(cursor === undefined ? [] : [`There are more: the same with --cursor ${cursor}`]),
      ],
    };
  },
});
