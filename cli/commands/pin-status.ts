import { type CanaryPin, readCanaryPin } from '../../shared/cluster/index.ts';
import type { IssuerPins, SealedPin } from '../../shared/ledger/index.ts';
import { isAwsKmsUri } from '../../shared/signer/index.ts';
import { table } from '../../shared/terminal/index.ts';
import { defineCommand } from '../command.ts';
import { isoTime, shortTime } from '../json.ts';
import { homeRegion, sealedPinsOf } from '../pin-targets.ts';
import { pinHead, pinRow, sealJson } from '../pin-view.ts';

export const command = defineCommand({
  details: [
    'Of every issuer with a key in CloudHSM, and of the canaries: whose PIN is sealed in which Region, since when and with which',
    'key, as it was written down when it was sealed; the envelopes themselves tell nobody but KMS. Exit code 1 when an active',
    "issuer, or the canary, has none in the stage's Region or in one where another issuer has, and while a rotation is under way.",
  ],
  declare: (command) => command,
  run: async (session) => {
    const home = await homeRegion(session);
    const issuers = (await (await sealedPinsOf(session)).list()).filter(({ signerUri }) => !isAwsKmsUri(signerUri));
    const active = issuers.filter(({ state }) => state === 'active');
    const regions = [...new Set([home, ...active.flatMap(({ pins }) => Object.keys(pins))])].toSorted();
    const dynamoDB = await session.clients.dynamoDB();
    const { issuers: tableName } = session.target().tables;
    const canaries = await Promise.all(
      regions.map(async (region) => ({ region, found: await readCanaryPin(dynamoDB, tableName, region) })),
    );
    const seen = issuers.map((issuer) => ({
      issuer,
      missing: issuer.state === 'active' ? regions.filter((region) => issuer.pins[region] === undefined) : [],
    }));
    const isBad =
      seen.some(({ issuer, missing }) => missing.length > 0 || issuer.rotation !== undefined) ||
      (active.length > 0 && canaries.some(({ found }) => found !== undefined && found.envelope === undefined));
    const rotations = issuers.flatMap(rotationLine);
    return {
      exitCode: isBad ? 1 : 0,
      json: {
        region: home,
        issuers: seen.map(({ issuer, missing }) => ({
          issuerId: issuer.issuerId,
          state: issuer.state,
          clusterId: issuer.clusterId ?? null,
          regions: Object.entries(issuer.pins).map(([region, { seal }]) => sealJson(region, seal)),
          missing,
          rotation:
            issuer.rotation === undefined
              ? null
              : {
                  fromUser: issuer.rotation.fromUser,
                  toUser: issuer.rotation.toUser,
                  startedAt: isoTime(issuer.rotation.startedAt),
                },
        })),
        canaries: canaries.flatMap(({ found }) =>
          found === undefined
            ? []
            : [{ ...sealJson(found.region, found.seal), isSealed: found.envelope !== undefined }],
        ),
      },
      lines: [
        ...table(pinHead, [
          ...seen.flatMap(({ issuer, missing }) => rowsOf(issuer, missing)),
          ...canaries.flatMap(({ found }) => (found === undefined ? [] : [canaryRow(found)])),
        ]),
        ...(rotations.length === 0 ? [] : ['', ...rotations]),
      ],
    };
  },
});

const rowsOf = ({ issuerId, pins }: IssuerPins, missing: readonly string[]): string[][] => [
  ...Object.entries(pins).map(([region, pin]) => pinRow(issuerId, region, pin)),
  ...missing.map((region) => pinRow(issuerId, region, undefined)),
];

function canaryRow({ region, envelope, seal }: CanaryPin): string[] {
  const pin: SealedPin | undefined =
    envelope === undefined ? undefined : { envelope, ...(seal === undefined ? {} : { seal }) };
  return pinRow('the canary', region, pin);
}

const rotationLine = ({ issuerId, rotation }: IssuerPins): string[] =>
  rotation === undefined
    ? []
    : [
        `${issuerId} is being changed from ${rotation.fromUser} to ${rotation.toUser}, since ${shortTime(rotation.startedAt)}: mintmark pin rotate --issuer ${issuerId}`,
      ];
