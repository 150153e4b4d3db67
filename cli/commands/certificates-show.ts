import { type IssuanceRecord, Revocations } from '../../shared/ledger/index.ts';
import { certificateJson, describe, pemOf, sinceOf } from '../certificate-view.ts';
import { defineCommand } from '../command.ts';
import { UsageError } from '../errors.ts';
import { select } from '../selection.ts';
import type { Session } from '../session.ts';
import { notEmpty, serialNumber } from '../values.ts';

interface Options {
  readonly serial?: string;
  readonly device?: string;
  readonly requestId?: string;
}

export const command = defineCommand<Options>({
  details: [
    'By serial number; or by device and request id; or by device alone, which shows the newest certificate that it was',
    'issued, and without one the newest row.',
  ],
  declare: (command) =>
    command
      .option('--serial <hex>', 'the serial number, as any tool writes it', serialNumber)
      .option('--device <id>', 'the device', notEmpty)
      .option('--request-id <id>', 'with --device: the request', notEmpty),
  run: async (session, options) => {
    if (options.serial === undefined && options.device === undefined) {
      throw new UsageError('It is not said which row is meant.', 'Name it with --serial or --device.');
    }
    const { records, selection, matches } = await select(session, options);
    const found: IssuanceRecord[] = [];
    for await (const { record } of records.find(selection)) {
      if (matches(record) && (options.requestId === undefined || record.requestId === options.requestId)) {
        found.push(record);
      }
    }
    const shown = newest(found);
    if (shown === undefined) {
      return { exitCode: 1, json: { certificate: null }, lines: ['There is no such row in the issuance table.'] };
    }
    const isRevoked = await revocationOf(session, shown);
    const others = found.length - 1;
    if (others > 0) {
      session.note(
        `The newest of ${found.length} rows; all of them: mintmark certificates list --device ${shown.deviceId}`,
      );
    }
    const revoked = isRevoked === undefined ? {} : { revoked: isRevoked };
    return {
      exitCode: 0,
      json: { certificate: { ...certificateJson(shown), ...revoked, certificate: pemOf(shown) ?? null } },
      lines: describe(shown, isRevoked),
    };
  },
});

/** Issued before any other state, then the latest. */
function newest(records: readonly IssuanceRecord[]): IssuanceRecord | undefined {
  const rank = (record: IssuanceRecord) => [record.state === 'issued' ? 1 : 0, sinceOf(record) ?? 0] as const;
  return records.toSorted((one, other) => {
    const [[issuedOne, timeOne], [issuedOther, timeOther]] = [rank(one), rank(other)];
    return issuedOther - issuedOne || timeOther - timeOne;
  })[0];
}

/** undefined for a row whose serial number is not known. */
async function revocationOf(session: Session, record: IssuanceRecord): Promise<boolean | undefined> {
  const { issuerId, serialNumber: serial, crlShard } = record;
  if (issuerId === undefined || serial === undefined || crlShard === undefined) return undefined;
  const revocations = new Revocations(await session.clients.dynamoDB(), session.target().tables.revocations);
  return revocations.isRevoked({ issuerId, serialNumber: serial, crlShard });
}
