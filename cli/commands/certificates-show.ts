import { type IssuanceRecord, Revocations } from '../../shared/ledger/index.ts';
import { certificateJson, describe, pemOf, sinceOf } from '../certificate-view.ts';
import { defineCommand } from '../command.ts';
import { UsageError } from '../errors.ts';
import { isoTime } from '../json.ts';
import { renewalAdvice } from '../renew-after.ts';
import { select } from '../selection.ts';
import type { Session } from '../session.ts';
import { notEmpty, serialNumber } from '../values.ts';

interface Options {
  readonly serial?: string;
  readonly abandoned?: true;
  readonly device?: string;
  readonly requestId?: string;
}

export const command = defineCommand<Options>({
  details: [
    'By serial number; or by device and request id; or by device alone, which shows the newest certificate that it was',
    'issued, and without one the newest row. A serial number that an abandoned attempt had, and a later one of the same',
    'request has not, is in no index: --abandoned finds it by reading the whole table (one read capacity unit for each',
    '4 KB), or the one device where --device is given too.',
  ],
  declare: (command) =>
    command
      .option('--serial <hex>', 'the serial number, as any tool writes it', serialNumber)
      .option('--abandoned', 'with --serial: also as the serial number of an earlier, abandoned attempt')
      .option('--device <id>', 'the device', notEmpty)
      .option('--request-id <id>', 'with --device: the request', notEmpty),
  run: async (session, options) => {
    if (options.serial === undefined && options.device === undefined) {
      throw new UsageError('It is not said which row is meant.', 'Name it with --serial or --device.');
    }
    if (options.abandoned === true && options.serial === undefined) {
      throw new UsageError('--abandoned is about a serial number.', 'Name it with --serial.');
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
      const elsewhere =
        options.serial === undefined || options.abandoned === true
          ? []
          : ['--abandoned looks among the serial numbers of abandoned attempts too, by reading the whole table.'];
      const lines = ['There is no such row in the issuance table.', ...elsewhere];
      return { exitCode: 1, json: { certificate: null }, lines };
    }
    const isRevoked = await revocationOf(session, shown);
    if (options.serial !== undefined && shown.serialNumber !== options.serial) {
      session.note(
        `${options.serial} is of an abandoned attempt of this request: it is on its issuer's CRL, or will be.`,
      );
    }
    const others = found.length - 1;
    if (others > 0) {
      session.note(
        `The newest of ${found.length} rows; all of them: mintmark certificates list --device ${shown.deviceId}`,
      );
    }
    const revoked = isRevoked === undefined ? {} : { revoked: isRevoked };
    // What is revoked is not renewed, but replaced at once.
    const renewAfter =
      shown.certificate === undefined || isRevoked === true
        ? undefined
        : renewalAdvice()(shown.profile, shown.certificate);
    const renewal = renewAfter === undefined ? {} : { renewAfter: isoTime(renewAfter) };
    return {
      exitCode: 0,
      json: { certificate: { ...certificateJson(shown), ...revoked, ...renewal, certificate: pemOf(shown) ?? null } },
      lines: describe(shown, isRevoked, renewAfter),
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
