import { DeviceRecords, type StateChange } from '../shared/ledger/index.ts';
import type { Result } from './command.ts';
import type { Session } from './session.ts';

/** What became of one device. */
type Ended = { readonly deviceId: string } & StateChange;

/**
 * Changes the state of devices, one after the other: so many that it would matter nobody types.
 * @param told a sentence about each that is registered
 */
export async function changeStates(
  session: Session,
  given: readonly string[],
  change: (records: DeviceRecords, deviceId: string) => Promise<StateChange>,
  told: (deviceId: string, change: StateChange & { readonly outcome: 'changed' | 'unchanged' }) => string,
  effect: string,
): Promise<Result> {
  const records = new DeviceRecords(await session.clients.dynamoDB(), session.target().tables.devices);
  const ended: Ended[] = [];
  for (const deviceId of new Set(given)) ended.push({ deviceId, ...(await change(records, deviceId)) });
  const hasChanged = ended.some(({ outcome }) => outcome === 'changed');
  return {
    exitCode: ended.some(({ outcome }) => outcome === 'unknown') ? 1 : 0,
    json: {
      devices: ended.map(({ deviceId, outcome }) => ({ deviceId, outcome })),
      effectiveWithinSeconds: hasChanged ? 60 : 0,
    },
    lines: [
      ...ended.map((one) =>
        one.outcome === 'unknown' ? `${one.deviceId} is not registered.` : told(one.deviceId, one),
      ),
      ...(hasChanged ? [effect] : []),
    ],
  };
}
