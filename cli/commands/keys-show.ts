import { X509Certificate } from 'node:crypto';
import { MintmarkError } from '../../shared/errors.ts';
import { spkiSha256Of } from '../../shared/issuance/index.ts';
import { type IssuanceRecord, IssuanceRecords, type KeyRecord, KeyRecords } from '../../shared/ledger/index.ts';
import { table } from '../../shared/terminal/index.ts';
import { defineCommand } from '../command.ts';
import { factLines } from '../facts.ts';
import { interruptible } from '../interruptible.ts';
import { isoTime, shortTime } from '../json.ts';
import { compromisedSince, compromiseJson } from '../key-changes.ts';
import { keysArgument, keysNamed, type NamedKey } from '../named-keys.ts';
import type { Session } from '../session.ts';

/** A key with what is known of it. */
interface ShownKey extends NamedKey, KeyRecord {
  /** The holder's certificates with this key that have not ended. */
  readonly certificates: readonly IssuanceRecord[];
}

export const command = defineCommand({
  details: [
    'Whether it is blocked; which device has it, where a profile that has keys.reuse: refused has issued for it (no other leaves a',
    "trace here); and that device's certificates with it that have not ended, revoked ones among them. Exit code 1 when nothing",
    'is known of one.',
  ],
  declare: (command) => command.argument(...keysArgument),
  run: async (session, _, args) => {
    const named = keysNamed(args, (line) => session.note(line));
    const records = new KeyRecords(await session.clients.dynamoDB(), session.target().tables.keys);
    const found = await records.get(named.map(({ spkiSha256 }) => spkiSha256));
    const shown: ShownKey[] = [];
    for (const key of named) {
      const record = found.get(key.spkiSha256) ?? {};
      shown.push({ ...key, ...record, certificates: await certificatesWith(session, key, record) });
    }
    return {
      exitCode: named.every(({ spkiSha256 }) => found.has(spkiSha256)) ? 0 : 1,
      json: { keys: shown.map((key) => keyJson(key, session.now())) },
      lines: shown.flatMap((key, index) => [...(index === 0 ? [] : ['']), ...keyLines(key, session.now())]),
    };
  },
});

/** From the device's own rows: there is no index by key. */
async function certificatesWith(
  session: Session,
  { spkiSha256 }: NamedKey,
  { holder }: KeyRecord,
): Promise<IssuanceRecord[]> {
  if (holder === undefined || holder instanceof MintmarkError) return [];
  const records = new IssuanceRecords(await session.clients.dynamoDB(), session.target().tables.issuance);
  const found: IssuanceRecord[] = [];
  const ofDevice = records.find({ by: 'device', deviceId: holder.deviceId });
  for await (const { record } of interruptible(ofDevice, session.interrupted)) {
    const { certificate, notAfter = Number.POSITIVE_INFINITY } = record;
    if (certificate === undefined || notAfter < session.now()) continue;
    if (keyOf(certificate) === spkiSha256) found.push(record);
  }
  return found;
}

/** Undefined for what is no certificate: a row that is not as we write it is for `certificates show` to tell of. */
function keyOf(certificate: Uint8Array): string | undefined {
  try {
    return spkiSha256Of(new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' }));
  } catch {
    return undefined;
  }
}

/** `compromised` goes before `live`, which it is where its device's certificate has not ended. */
function stateOf({ compromise, holder }: KeyRecord, now: number): 'compromised' | 'live' | 'unreadable' | 'free' {
  if (compromise?.state === 'compromised') return 'compromised';
  if (holder instanceof MintmarkError) return 'unreadable';
  return holder !== undefined && holder.notAfter >= now ? 'live' : 'free';
}

const keyJson = (key: ShownKey, now: number) => ({
  spkiSha256: key.spkiSha256,
  file: key.file ?? null,
  state: stateOf(key, now),
  compromise: key.compromise === undefined ? null : compromiseJson(key.compromise),
  holder:
    key.holder === undefined
      ? null
      : key.holder instanceof MintmarkError
        ? { problem: key.holder.message }
        : { ...key.holder, notAfter: isoTime(key.holder.notAfter) },
  certificates: key.certificates.map(({ deviceId, requestId, serialNumber, issuerId, profile, notAfter }) => ({
    deviceId,
    requestId,
    serialNumber,
    issuerId,
    profile,
    notAfter: isoTime(notAfter),
  })),
});

function keyLines(key: ShownKey, now: number): string[] {
  const { compromise, holder, certificates } = key;
  const claim = holder instanceof MintmarkError ? undefined : holder;
  const history = compromise === undefined ? undefined : compromisedSince(compromise).trim();
  return [
    ...factLines([
      ['key', key.spkiSha256],
      ['file', key.file],
      ['state', stateOf(key, now)],
      [compromise?.state === 'cleared' ? 'was compromised' : 'compromised', history],
      ['unblocked at', shortTime(compromise?.clearedAt)],
      ['device', claim?.deviceId],
      ['device has it until', shortTime(claim?.notAfter)],
      ['for the request', claim?.requestId],
      ['problem', holder instanceof MintmarkError ? holder.message : undefined],
    ]),
    ...(certificates.length === 0
      ? []
      : table(
          ['CERTIFICATE', 'ISSUER', 'PROFILE', 'NOT AFTER'],
          certificates.map(({ serialNumber = '', issuerId = '', profile = '', notAfter }) => [
            serialNumber,
            issuerId,
            profile,
            shortTime(notAfter),
          ]),
        )),
  ];
}
