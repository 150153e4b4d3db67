import type { PinSeal, SealedPin } from '../shared/ledger/index.ts';
import { isoTime, shortTime } from './json.ts';

export const pinHead = ['ISSUER', 'REGION', 'CRYPTO USER', 'SEALED', 'KEY', 'CLUSTER OF THE KEY'];

export const pinRow = (issuer: string, region: string, pin: SealedPin | undefined): string[] =>
  pin === undefined
    ? [issuer, region, 'none is sealed']
    : [
        issuer,
        region,
        pin.seal?.userName ?? 'not written down',
        shortTime(pin.seal?.sealedAt),
        pin.seal?.keyArn ?? '',
        pin.seal?.clusterId ?? '',
      ];

/** As --json has it; scripts read it, so fields are added, never renamed. */
export const sealJson = (region: string, seal: PinSeal | undefined) => ({
  region,
  userName: seal?.userName ?? null,
  keyArn: seal?.keyArn ?? null,
  clusterId: seal?.clusterId ?? null,
  sealedAt: isoTime(seal?.sealedAt) ?? null,
});
