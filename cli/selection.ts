import type { Command } from 'commander';
import {
  type IssuanceRecord,
  IssuanceRecords,
  type IssuanceSelection,
  readIssuerCertificates,
} from '../shared/ledger/index.ts';
import type { Session } from './session.ts';
import { day, notEmpty, oneOf, serialNumber } from './values.ts';

/** Which rows of the issuance table are meant. */
export interface SelectionOptions {
  readonly device?: string;
  readonly serial?: string;
  /** Also where the serial number was of an earlier attempt, which no index has. */
  readonly abandoned?: true;
  readonly expires?: string;
  readonly issuer?: string;
  readonly status?: string;
}

const states = ['intent', 'issued', 'rejected', 'abandoned'];

/** Which certificates, whatever the state of their rows. */
export const declareCertificates = (command: Command): Command =>
  command
    .option('--device <id>', 'of this device', notEmpty)
    .option('--serial <hex>', 'with this serial number, as any tool writes it', serialNumber)
    .option('--expires <day>', 'certificates whose notAfter is on this day, YYYY-MM-DD (UTC)', day)
    .option('--issuer <id>', 'of this issuing CA', notEmpty);

export const declareSelection = (command: Command): Command =>
  declareCertificates(command).addOption(oneOf('--status <state>', 'in this state', states));

/** What every command that takes a selection says of it. */
export const selectionDetails: readonly string[] = [
  'By device, serial number, expiry day or open intents (--status intent) an index is read; with none of them, the whole',
  'table, in no order. All rows are read consistently; an index may name one a moment late.',
];

export interface Selected {
  readonly records: IssuanceRecords;
  readonly selection: IssuanceSelection;
  readonly matches: (record: IssuanceRecord) => boolean;
}

/** The narrowest way to the rows that are meant, and the test that tells them from others on that way. */
export async function select(session: Session, options: SelectionOptions): Promise<Selected> {
  const dynamoDB = await session.clients.dynamoDB();
  const { tables } = session.target();
  const selection = await selectionOf(options, async () =>
    (await readIssuerCertificates(dynamoDB, tables.issuers)).map(({ issuerId }) => issuerId),
  );
  return { records: new IssuanceRecords(dynamoDB, tables.issuance), selection, matches: matcherOf(options) };
}

async function selectionOf(
  { serial, abandoned, device, expires, issuer, status }: SelectionOptions,
  allIssuers: () => Promise<string[]>,
): Promise<IssuanceSelection> {
  if (serial !== undefined && abandoned !== true) return { by: 'serialNumber', serialNumber: serial };
  if (device !== undefined) return { by: 'device', deviceId: device };
  if (expires !== undefined) {
    return { by: 'expiry', day: expires, issuerIds: issuer === undefined ? await allIssuers() : [issuer] };
  }
  return { by: status === 'intent' ? 'openIntent' : 'nothing' };
}

export function matcherOf({
  serial,
  abandoned,
  device,
  expires,
  issuer,
  status,
}: SelectionOptions): (record: IssuanceRecord) => boolean {
  const expiryOf = ({ state, notAfter }: IssuanceRecord) =>
    state === 'issued' && notAfter !== undefined ? new Date(notAfter).toISOString().slice(0, 10) : undefined;
  return (record) =>
    (serial === undefined || record.serialNumber === serial || (abandoned === true && wasOf(record, serial))) &&
    (device === undefined || record.deviceId === device) &&
    (expires === undefined || expiryOf(record) === expires) &&
    (issuer === undefined || record.issuerId === issuer) &&
    (status === undefined || record.state === status);
}

const wasOf = ({ abandonedSerialNumbers }: IssuanceRecord, serial: string): boolean =>
  abandonedSerialNumbers.some(({ serialNumber: abandoned }) => abandoned === serial);
