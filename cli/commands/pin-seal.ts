import { canaryPinPurpose, sealCanaryPin } from '../../shared/cluster/index.ts';
import type { SealedPin } from '../../shared/ledger/index.ts';
import { isSamePinUser, type SealingKey } from '../../shared/signer/index.ts';
import { table } from '../../shared/terminal/index.ts';
import { canaryOfCopy } from '../break-glass.ts';
import {
  type BreakGlassOptions,
  breakGlassJson,
  breakGlassLines,
  breakGlassPlan,
  declareBreakGlass,
  type MadeBreakGlass,
  makeBreakGlassFiles,
} from '../break-glass-options.ts';
import { defineCommand, type Result } from '../command.ts';
import { UsageError } from '../errors.ts';
import { readPin, requireAnswerable } from '../pin-input.ts';
import {
  agree,
  glassLines,
  notesOnBreaker,
  planLine,
  requireClusters,
  type Sealed,
  sealAll,
  sealOne,
  writing,
} from '../pin-sealing.ts';
import { homeRegion, readCanaryIn, readIssuerPins, sealedPinsOf } from '../pin-targets.ts';
import { pinHead, pinRow, sealJson } from '../pin-view.ts';
import {
  declareRegions,
  declareSealingKeys,
  describeSealingKeys,
  requireOwnCluster,
  type SealingKeyOptions,
  sealingKeysOf,
} from '../sealing-keys.ts';
import type { Session } from '../session.ts';
import { notEmpty } from '../values.ts';

interface Options extends SealingKeyOptions, BreakGlassOptions {
  readonly issuer?: string;
  readonly canary?: true;
  readonly restoredAs?: string;
  readonly yes?: true;
  readonly dryRun?: true;
}

export const command = defineCommand<Options>({
  details: [
    'user:password comes from stdin, or is asked for on a terminal without being shown; it is no argument and no variable. It is',
    "encrypted by KMS with each Region's sealing key, a symmetric one in a custom key store of the issuer's own cluster, for this",
    'stage, cluster and issuer alone; whoever seals needs no kms:Decrypt. Without --key and --region the keys are those of before.',
    'The row is written in one piece, and not if its PINs have changed since this looked. With --restored-as the issuer is in that',
    'cluster from then on, for which all of its Regions are sealed anew. To take turns between two crypto users, use `mintmark pin',
    'rotate`, which keeps the way back.',
  ],
  declare: (command) =>
    declareBreakGlass(
      declareRegions(
        declareSealingKeys(
          command
            .option('--issuer <id>', 'of the crypto user who signs with this issuing CA', notEmpty)
            .option('--canary', "of the watch's own crypto user"),
        ),
      ).option('--restored-as <cluster>', 'the cluster that was made from a backup of the one in the row', notEmpty),
    )
      .option('--yes', 'do not ask')
      .option('--dry-run', 'ask for no PIN and write nothing; say what would be done'),
  run: (session, options) => {
    if ((options.issuer === undefined) === (options.canary === undefined)) {
      throw new UsageError('It is not said whose PIN it is.', 'Give --issuer or --canary, one of them.');
    }
    return options.issuer === undefined ? sealCanary(session, options) : sealIssuer(session, options, options.issuer);
  },
});

async function sealIssuer(session: Session, options: Options, issuerId: string): Promise<Result> {
  const glass = breakGlassPlan(options);
  const row = await readIssuerPins(session, issuerId);
  if (row.rotation !== undefined) {
    throw new UsageError(
      `The crypto user of ${issuerId} is being changed from ${row.rotation.fromUser} to ${row.rotation.toUser}.`,
      `End that first: mintmark pin rotate --issuer ${issuerId}.`,
    );
  }
  const clusterId = options.restoredAs ?? row.clusterId;
  const keys = await describeSealingKeys(session, sealingKeysOf(options, row.pins));
  await requireClusters(session, keys, clusterId, options.cluster, row.clusterId);
  if (clusterId !== row.clusterId) requireAllRegions(Object.keys(row.pins), keys, row.clusterId);
  const before = (region: string): SealedPin | undefined => row.pins[region];
  const told = [
    `The PIN of the issuer ${issuerId}, stage ${session.target().stage}, cluster ${clusterId}${clusterId === row.clusterId ? '' : ` (before: ${row.clusterId})`}:`,
    ...keys.map((key) => planLine(key, before(key.region))),
  ];
  if (options.dryRun === true) return planned(told, { issuerId, clusterId, keys });
  requireAnswerable(session, options.yes === true);
  const pin = await readPin(session);
  try {
    await agree(session, options.yes === true, [...told, `  crypto user: ${pin.userName}`, ...glassLines(glass)]);
    const now = session.now();
    const { stage } = session.target();
    const sealed = await sealAll(session, keys, pin, { clusterId, issuerId, stage }, now);
    const facts = { stage, issuer: issuerId, clusterId, userName: pin.userName, madeAt: now };
    const made = await makeBreakGlassFiles(glass, pin.bytes, facts);
    const next = { pins: { ...row.pins, ...sealed }, ...(clusterId === row.clusterId ? {} : { clusterId }) };
    await writing(made, async () => (await sealedPinsOf(session)).replace(row, next));
    const others = keys.map(({ region }) => before(region)?.seal?.userName).filter((name) => name !== undefined);
    const notes = [
      ...notesOnUser(issuerId, pin.userName, others),
      ...(await notesOnBreaker(session, issuerId)),
      ...missingNotes(Object.keys(next.pins), await homeRegion(session)),
    ];
    return sealedResult({ issuerId }, pin.userName, sealed, made, notes);
  } finally {
    pin.bytes.fill(0);
  }
}

async function sealCanary(session: Session, options: Options): Promise<Result> {
  const glass = breakGlassPlan(options);
  if (options.restoredAs !== undefined) {
    throw new UsageError("A canary's row is written anew for another cluster.", 'Leave --restored-as out.');
  }
  const [named, more] = options.key ?? [];
  const [region = await homeRegion(session)] = options.region ?? [];
  if (more !== undefined || (options.region ?? []).length > 1) {
    throw new UsageError('The canaries of several Regions are several users.', 'Seal one after the other.');
  }
  const row = await readCanaryIn(session, named === undefined ? region : (named.split(':')[3] ?? region));
  const before: SealedPin | undefined =
    row.envelope === undefined
      ? undefined
      : { envelope: row.envelope, ...(row.seal === undefined ? {} : { seal: row.seal }) };
  const keys = await describeSealingKeys(
    session,
    sealingKeysOf(options, before === undefined ? {} : { [row.region]: before }),
  );
  const [key] = keys;
  if (key?.region !== row.region) {
    throw new UsageError(`The key is not one of ${row.region}.`, 'Name the Region, or its key, and not both.');
  }
  requireOwnCluster(key, { clusterId: row.clusterId, also: [], mayBeCopy: false });
  const { stage, tables } = session.target();
  const told = [
    `The PIN of the canary in ${row.region}, stage ${stage}, cluster ${row.clusterId}:`,
    planLine(key, before),
  ];
  if (options.dryRun === true) return planned(told, { issuerId: null, clusterId: row.clusterId, keys });
  requireAnswerable(session, options.yes === true);
  const pin = await readPin(session);
  try {
    await agree(session, options.yes === true, [...told, `  crypto user: ${pin.userName}`, ...glassLines(glass)]);
    const now = session.now();
    const sealed = await sealOne(session, key, pin, canaryPinPurpose(row.clusterId, stage), now);
    const facts = { stage, issuer: canaryOfCopy, clusterId: row.clusterId, userName: pin.userName, madeAt: now };
    const made = await makeBreakGlassFiles(glass, pin.bytes, facts);
    const dynamoDB = await session.clients.dynamoDB();
    await writing(made, () => sealCanaryPin(dynamoDB, tables.issuers, row, sealed.envelope, sealed.seal));
    const notes = ['The watch logs in with it at its next look, and says what came of it: mintmark health.'];
    return sealedResult({ canary: row.region }, pin.userName, { [row.region]: sealed }, made, notes);
  } finally {
    pin.bytes.fill(0);
  }
}

/** An envelope opens for the cluster that it names, so those that were left would open no more. */
function requireAllRegions(regions: readonly string[], keys: readonly SealingKey[], clusterId: string): void {
  const left = regions.filter((region) => !keys.some((key) => key.region === region));
  if (left.length === 0) return;
  throw new UsageError(
    `The PINs of ${left.join(', ')} are sealed for ${clusterId}, and would open no more.`,
    'Seal every Region at once: name the key of each with --key.',
  );
}

function planned(
  told: readonly string[],
  {
    issuerId,
    clusterId,
    keys,
  }: { readonly issuerId: string | null; readonly clusterId: string; readonly keys: readonly SealingKey[] },
): Result {
  const json = {
    change: 'planned',
    issuerId,
    clusterId,
    keys: keys.map(({ region, arn }) => ({ region, keyArn: arn })),
  };
  return { exitCode: 0, json, lines: [...told, 'Nothing was written.'] };
}

function notesOnUser(issuerId: string, userName: string, before: readonly string[]): string[] {
  const other = before.find((name) => !isSamePinUser(name, userName));
  if (other === undefined) {
    return ['Functions that start from now on log in with it; those that run stay logged in.'];
  }
  return [
    `${userName} is another crypto user than ${other}, as whom functions that run stay logged in until they end: leave the password of ${other} as it is until then.`,
    `mintmark pin rotate --issuer ${issuerId} does this step by step, and has a way back.`,
  ];
}

const missingNotes = (regions: readonly string[], home: string): string[] =>
  regions.includes(home) ? [] : [`None is sealed for ${home}, where this stage is: nobody can sign there.`];

function sealedResult(
  whose: { readonly issuerId?: string; readonly canary?: string },
  userName: string,
  sealed: Readonly<Record<string, Sealed>>,
  made: MadeBreakGlass | undefined,
  notes: readonly string[],
): Result {
  const entries = Object.entries(sealed);
  return {
    exitCode: 0,
    json: {
      change: 'sealed',
      issuerId: whose.issuerId ?? null,
      canary: whose.canary ?? null,
      userName,
      regions: entries.map(([region, { seal }]) => sealJson(region, seal)),
      breakGlass: breakGlassJson(made),
      notes,
    },
    lines: [
      ...table(
        pinHead,
        entries.map(([region, pin]) => pinRow(whose.issuerId ?? 'the canary', region, pin)),
      ),
      ...breakGlassLines(made),
      '',
      ...notes,
    ],
  };
}
