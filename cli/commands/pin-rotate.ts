import type { IssuerPins, PinRotation } from '../../shared/ledger/index.ts';
import { isSamePinUser, isUserName } from '../../shared/signer/index.ts';
import {
  type BreakGlassOptions,
  breakGlassJson,
  breakGlassLines,
  breakGlassPlan,
  declareBreakGlass,
  makeBreakGlassFiles,
} from '../break-glass-options.ts';
import { stepsAfter, stepsBefore } from '../cloudhsm-steps.ts';
import { defineCommand, type Result } from '../command.ts';
import { UsageError } from '../errors.ts';
import { isoTime, shortTime } from '../json.ts';
import { readPin, requireAnswerable } from '../pin-input.ts';
import { agree, glassLines, notesOnBreaker, planLine, requireClusters, sealAll, writing } from '../pin-sealing.ts';
import { readIssuerPins, sealedPinsOf } from '../pin-targets.ts';
import { sealJson } from '../pin-view.ts';
import { judgeRotation, type RotationStanding, readRotationEvidence } from '../rotation-evidence.ts';
import { declareSealingKeys, describeSealingKeys, type SealingKeyOptions, sealingKeysOf } from '../sealing-keys.ts';
import type { Session } from '../session.ts';
import { notEmpty } from '../values.ts';

interface Options extends SealingKeyOptions, BreakGlassOptions {
  readonly issuer: string;
  readonly fromUser?: string;
  readonly done?: true;
  readonly back?: true;
  readonly force?: true;
  readonly yes?: true;
}

/** Of an issuer whose PIN names its cluster. */
type Row = Awaited<ReturnType<typeof readIssuerPins>>;
type RotatingRow = Row & { readonly rotation: PinRotation };

export const command = defineCommand<Options>({
  details: [
    'Two crypto users sign in turn, since functions that run stay logged in as the one of before. The first run shows what is to be',
    "done in the HSM, takes the other user's PIN as `mintmark pin seal` does, and seals it in every Region; the envelopes of before",
    'stay in the row beside it. Each further run says how far it is: whether the functions were deployed since, which ends all',
    'environments that are logged in as the old user; whether something was signed after that; whether a PIN was refused. Exit code',
    '1 until all of it is so. --done ends it then, and says what to do about the old user; --back seals the PIN of before again',
    'without needing to know it. Safe to interrupt and to repeat, from any machine: how far it is stands in the row.',
  ],
  declare: (command) =>
    declareBreakGlass(
      declareSealingKeys(
        command
          .requiredOption('--issuer <id>', 'of the crypto user who signs with this issuing CA', notEmpty)
          .option('--from-user <name>', 'who signs now, where that is not written down', notEmpty),
      ),
    )
      .option('--done', 'end the rotation: forget the envelopes of before')
      .option('--force', 'with --done: also where the new user was not seen to sign')
      .option('--back', 'put the envelopes of before back')
      .option('--yes', 'do not ask'),
  run: async (session, options) => {
    if (options.done === true && options.back === true) {
      throw new UsageError('--done and --back exclude each other.', 'Give one of them.');
    }
    if (options.force === true && options.done !== true) {
      throw new UsageError('--force goes with --done.', 'Add --done, or leave it out.');
    }
    const row = await readIssuerPins(session, options.issuer);
    if (isRotating(row)) {
      if (options.back === true) return goBack(session, row);
      return follow(session, row, options);
    }
    if (options.back === true || options.done === true) {
      throw new UsageError(`No rotation of ${row.issuerId} is under way.`, 'Look at mintmark pin status.');
    }
    return begin(session, row, options);
  },
});

const isRotating = (row: Row): row is RotatingRow => row.rotation !== undefined;

async function begin(session: Session, row: Row, options: Options): Promise<Result> {
  const { issuerId, clusterId, signerUri } = row;
  const fromUser = presentUser(row, options.fromUser);
  const glass = breakGlassPlan(options);
  const keys = await describeSealingKeys(
    session,
    sealingKeysOf({ ...options, region: Object.keys(row.pins) }, row.pins),
  );
  const unknown = keys.filter(({ region }) => row.pins[region] === undefined).map(({ region }) => region);
  if (unknown.length > 0) {
    throw new UsageError(
      `No PIN is sealed in ${unknown.join(', ')} yet.`,
      `Seal that of ${fromUser} there first (mintmark pin seal): a rotation can only go back to what there is.`,
    );
  }
  await requireClusters(session, keys, clusterId, options.cluster);
  requireAnswerable(session, options.yes === true);
  const pin = await readPin(session);
  try {
    if (isSamePinUser(pin.userName, fromUser)) {
      throw new UsageError(
        `${pin.userName} is the crypto user who signs now.`,
        'Take turns with another one: functions that run stay logged in, so a new password of the same user locks them out of their next login, and each try counts towards locking the user.',
      );
    }
    await agree(session, options.yes === true, [
      `From ${fromUser} to ${pin.userName}, for the issuer ${issuerId}, stage ${session.target().stage}, cluster ${clusterId}:`,
      ...keys.map((key) => planLine(key, row.pins[key.region])),
      ...glassLines(glass),
      'What is done in the HSM must be done before:',
      ...stepsBefore(signerUri, pin.userName),
    ]);
    const now = session.now();
    const { stage } = session.target();
    const sealed = await sealAll(session, keys, pin, { clusterId, issuerId, stage }, now);
    const facts = { stage, issuer: issuerId, clusterId, userName: pin.userName, madeAt: now };
    const made = await makeBreakGlassFiles(glass, pin.bytes, facts);
    const rotation: PinRotation = { fromUser, toUser: pin.userName, startedAt: now, previous: row.pins };
    await writing(made, async () => (await sealedPinsOf(session)).replace(row, { pins: sealed, rotation }));
    const notes = [
      'Functions read the row anew within a minute. Those that start from then on log in as the new user; those that run stay logged',
      `in as ${fromUser} until they end. Deploy to end them, a minute from now or later: npx serverless deploy --stage ${stage} --force`,
      ...(await notesOnBreaker(session, issuerId)),
      `Then, and as often as you like: mintmark pin rotate --issuer ${issuerId}`,
    ];
    return {
      exitCode: 0,
      json: {
        change: 'begun',
        issuerId,
        rotation: rotationJson(rotation),
        regions: Object.entries(sealed).map(([region, { seal }]) => sealJson(region, seal)),
        breakGlass: breakGlassJson(made),
        notes,
      },
      lines: [`The PIN of ${pin.userName} is sealed for ${issuerId}.`, ...breakGlassLines(made), '', ...notes],
    };
  } finally {
    pin.bytes.fill(0);
  }
}

/** @throws UsageError where it is not known, or not one */
function presentUser({ issuerId, pins }: Row, stated: string | undefined): string {
  if (Object.keys(pins).length === 0) {
    throw new UsageError(`${issuerId} has no PIN sealed.`, `Seal one: mintmark pin seal --issuer ${issuerId}.`);
  }
  if (stated !== undefined && !isUserName(stated)) {
    throw new UsageError('--from-user is no name of a crypto user.', 'Give 1 to 31 letters, digits and underscores.');
  }
  const written = Object.entries(pins).flatMap(([region, { seal }]) =>
    seal === undefined ? [] : [[region, seal.userName] as const],
  );
  const [first] = written;
  const found = first?.[1] ?? stated;
  if (found === undefined) {
    throw new UsageError('Who signs now is not written down: the PIN was sealed by hand.', 'Say it with --from-user.');
  }
  const other = written.find(([, userName]) => !isSamePinUser(userName, found));
  if (other !== undefined) {
    throw new UsageError(
      `In ${first?.[0]} ${found} signs, and in ${other[0]} ${other[1]}.`,
      'Seal the PIN of one of them in every Region first.',
    );
  }
  if (stated !== undefined && !isSamePinUser(found, stated)) {
    throw new UsageError(`${found} signs now, not ${stated}.`, 'Leave --from-user out.');
  }
  return found;
}

async function follow(session: Session, row: RotatingRow, options: Options): Promise<Result> {
  const records = await sealedPinsOf(session);
  const evidence = await readRotationEvidence(session, row, await records.list());
  const standing = judgeRotation(row, evidence, session.now());
  const { fromUser, toUser, startedAt } = row.rotation;
  const head = `${row.issuerId} is being changed from ${fromUser} to ${toUser}, since ${shortTime(startedAt)}.`;
  if (options.done !== true) return standingResult(row, standing, head);
  if (!standing.isProved && options.force !== true) return standingResult(row, standing, `${head} It is not done:`);
  await writing(undefined, () => records.replace(row, { pins: row.pins }));
  return {
    exitCode: 0,
    json: { ...standingJson(row, standing), change: 'done' },
    lines: [
      `${toUser} is the crypto user of ${row.issuerId}; the envelopes of ${fromUser} are forgotten.`,
      ...standing.missing.map((sentence) => `  Passed over: ${sentence}`),
      ...standing.facts.map((sentence) => `  ${sentence}`),
      ...(evidence.alsoOf.length > 0 ? [] : ['If that is not done yet:', ...stepsAfter(fromUser)]),
    ],
  };
}

const standingResult = (row: RotatingRow, standing: RotationStanding, head: string): Result => ({
  exitCode: standing.isProved ? 0 : 1,
  json: { ...standingJson(row, standing), change: 'none' },
  lines: [
    head,
    ...standing.facts.map((sentence) => `  ${sentence}`),
    ...standing.missing.map((sentence) => `  Missing: ${sentence}`),
    ...(standing.isProved
      ? ['', ...stepsAfter(row.rotation.fromUser), `Then: mintmark pin rotate --issuer ${row.issuerId} --done`]
      : []),
  ],
});

const standingJson = ({ issuerId, rotation }: RotatingRow, { isProved, facts, missing }: RotationStanding) => ({
  issuerId,
  rotation: rotationJson(rotation),
  isProved,
  facts,
  missing,
});

const rotationJson = ({ fromUser, toUser, startedAt }: PinRotation) => ({
  fromUser,
  toUser,
  startedAt: isoTime(startedAt),
});

async function goBack(session: Session, row: RotatingRow): Promise<Result> {
  const { issuerId, rotation } = row;
  const { fromUser, toUser, previous } = rotation;
  const next: Pick<IssuerPins, 'pins'> = { pins: previous };
  await writing(undefined, async () => (await sealedPinsOf(session)).replace(row, next));
  const notes = [
    `Functions that have logged in as ${toUser} stay so until they end: leave the password of ${toUser} as it is until the next deployment.`,
    ...(await notesOnBreaker(session, issuerId)),
  ];
  return {
    exitCode: 0,
    json: { change: 'back', issuerId, rotation: rotationJson(rotation), notes },
    lines: [`The PIN of ${fromUser} is that of ${issuerId} again.`, ...notes],
  };
}
