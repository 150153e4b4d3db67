/**
 * @typedef {object} VariableResolution what osls hands to a function in a `file` variable
 * @property {{ region?: string }} options of the command line
 * @property {(variable: string) => Promise<unknown>} resolveVariable
 */

const list = 'a comma-separated list without spaces of';

/** @typedef {{ test(value: string): boolean }} Form */

/** @type {[Form, string]} */
const count = [/^[1-9]\d{0,8}$/, 'a whole number of 1 or more'];
/** @type {[Form, string]} PutMetricAlarm's Period (CloudWatch API reference) */
const period = [
  { test: (value) => /^[123]0$/.test(value) || (/^[1-9]\d*$/.test(value) && Number(value) % 60 === 0) },
  'a multiple of 60 seconds (or 10, 20 or 30)',
];
/** @type {[Form, string]} EventBridge's rate expressions: the unit is singular for 1 alone */
const schedule = [
  /^rate\((1 (minute|hour|day)|([2-9]|[1-9]\d+) (minutes|hours|days))\)$/,
  'a rate, e.g. rate(1 minute) or rate(5 minutes); of a cron expression nobody knows how long it is silent',
];
/** @type {[Form, string]} Queues' names have the narrowest rules: 80 characters (Amazon SQS API reference, CreateQueue) */
const prefix = [/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'at most 64 letters, digits, hyphens and underscores'];
/** @type {[Form, string]} */
const threshold = [/^\d{1,9}(\.\d+)?$/, 'a number'];
/** PutRetentionPolicy (CloudWatch Logs API reference) */
const retentionDays = '1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 3288 3653';

/** @type {[Form, string]} */
const roles = [
  /^arn:[^:]+:iam::\d{12}:role\/[^,\s]+(,arn:[^:]+:iam::\d{12}:role\/[^,\s]+)*$/,
  `${list} roles' ARNs`,
];

/** What a value must look like: a mistake here would else be found in the middle of a deployment, or never. */
const forms = /** @type {Record<string, [Form, string]>} */ ({
  prefix,
  region: [/^[a-z]{2}(-[a-z]+)+-\d$/, 'a Region, e.g. eu-central-1'],
  layerArn: [/^arn:[^:]+:lambda:[^:]+:\d{12}:layer:[^:]+:\d+$/, "a layer version's ARN (it ends in a number)"],
  subnetIds: [/^subnet-[0-9a-f]+(,subnet-[0-9a-f]+)*$/, `${list} subnet ids`],
  securityGroupIds: [/^sg-[0-9a-f]+(,sg-[0-9a-f]+)*$/, `${list} security group ids`],
  sealingKeyArn: [/^arn:[^:]+:kms:[^:]+:\d{12}:key\/[^/]+$/, "a KMS key's ARN (an alias does not count in IAM policies)"],
  publicBucket: [/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'a bucket name'],
  issuerKeyArns: [
    /^arn:[^:]+:kms:[^:]+:\d{12}:key\/[^/,]+(,arn:[^:]+:kms:[^:]+:\d{12}:key\/[^/,]+)*$/,
    `${list} KMS keys' ARNs`,
  ],
  redriveRoleArns: roles,
  deployRoleArns: roles,
  architecture: [/^(arm64|x86_64)$/, 'arm64 or x86_64'],
  visibilityTimeout: count,
  maxReceiveCount: count,
  signBeforeSeconds: count,
  giveUpAfterSeconds: count,
  retryBaseSeconds: count,
  pausedSeconds: count,
  checkSignerSeconds: count,
  // shared/configuration.ts
  pkcs11Sessions: [/^([1-9]|1[0-2])$/, '1 to 12'],
  issueConcurrency: count,
  issueReservedConcurrency: count,
  logRetentionDays: [{ test: (value) => retentionDays.split(' ').includes(value) }, `one of ${retentionDays}`],
  requestAgeAlarmSeconds: count,
  requestAlarmPeriodSeconds: period,
  requestAlarmPeriods: count,
  watchPeriodSeconds: period,
  reconcileAfterSeconds: count,
  relintRows: count,
  reconcilePeriodSeconds: period,
  watchSchedule: schedule,
  reconcileSchedule: schedule,
  hsmCountMinimum: threshold,
  hsmCountWanted: threshold,
  availabilityZonesMinimum: threshold,
  backupMaximumAgeHours: threshold,
  backupSlackHours: threshold,
  canarySignWarningMilliseconds: threshold,
  issuerExpiryWarningDays: threshold,
  issuerExpiryCriticalDays: threshold,
  cloudFrontDistributionArn: [/^arn:[^:]+:cloudfront::\d{12}:distribution\/[^/]+$/, "a CloudFront distribution's ARN"],
});

/** shared/queue/retry-delay.ts */
const longestRetryDelay = 900;
/** Times checkSignerSeconds; shared/breaker/times.ts, `unlookedAfter` */
const unlookedAfter = 15;
/** So many times a batch tries the signer by itself, at least, before a request is given up. */
const triesByItself = 4;

/** Seconds between two looks; undefined for what is no schedule, which is a problem of its own. */
function intervalOf(/** @type {string} */ rate) {
  const [, number, unit = ''] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(rate) ?? [];
  const seconds = { minute: 60, hour: 3_600, day: 86_400 }[unit];
  return seconds === undefined ? undefined : Number(number) * seconds;
}

/**
 * @typedef {object} FunctionDefinition what is read of one in functions.yml, with its variables resolved
 * @property {string} handler
 * @property {number} timeout seconds
 * @property {string | number} [reservedConcurrency]
 * @property {Record<string, unknown>} [environment]
 * @property {{ sqs?: { maximumConcurrency: string | number }, schedule?: string }[]} [events]
 */

/**
 * Checks that everything is there that packaging cannot know to be missing: parameters without a value or of the wrong
 * form, numbers at odds with each other, and bundles that were not built.
 *
 * @param {VariableResolution} resolution
 * @throws {Error} that lists all of it
 */
module.exports = async function preconditions({ options, resolveVariable }) {
  const read = async (/** @type {string} */ name) => String(await resolveVariable(`param:${name}`));
  const names = async (/** @type {string} */ name) => (await read(name)).split(',').filter((each) => each !== '');
  const value = async (/** @type {string} */ name) => (name === 'region' && options.region) || (await read(name));
  const stage = String(await resolveVariable('sls:stage'));
  const problems = [];

  const missingOf = async (/** @type {string} */ list) => {
    const needed = await names(list);
    const values = await Promise.all(needed.map(value));
    return { needed, missing: needed.filter((_, index) => values[index] === '') };
  };
  const ofAll = await missingOf('requiredParameters');
  const needs = [shown(ofAll.missing), keyNeeds(await missingOf('requiredForCloudHSM'), await value('issuerKeyArns'))];
  const said = needs.filter((each) => each !== '').join('; and ');
  if (said !== '') problems.push(`The stage ${stage} needs ${said} (docs/deploying.md says what each is).`);
  for (const name of await names('requiredEnvironment')) {
    if ((process.env[name] ?? '') === '') problems.push(`The stage ${stage} needs the environment variable ${name}.`);
  }
  for (const [name, [form, description]] of Object.entries(forms)) {
    const given = await value(name);
    const mayBeEmpty = ![count, period, schedule, prefix].some(([needed]) => needed === form);
    if (!(given === '' && mayBeEmpty) && !form.test(given)) problems.push(`${name} must be ${description}; it is ${given}.`);
  }
  const region = await value('region');
  for (const name of ['layerArn', 'sealingKeyArn', 'issuerKeyArns']) {
    for (const arn of (await value(name)).split(',')) {
      const elsewhere = arn.split(':')[3] ?? region;
      if (region !== '' && elsewhere !== region) problems.push(`${name} is in ${elsewhere}, the stage in ${region}.`);
    }
  }
  const functions = /** @type {Record<string, FunctionDefinition>} */ (
    await resolveVariable('file(deploy/functions.yml)')
  );
  problems.push(...concurrencyProblems(functions));
  problems.push(...(await timeProblems(functions, await names('requiredMargins'), value)));
  problems.push(...(await alarmProblems(value)));

  const { existsSync } = await import('node:fs');
  const path = await import('node:path');
  const bundles = Object.values(functions).map(({ handler }) => handler.replace(/\.[^.]+$/, '.mjs'));
  const unbuilt = bundles.filter((bundle) => !existsSync(path.join(__dirname, '..', bundle)));
  if (unbuilt.length > 0) problems.push(`Run npm run build first: ${unbuilt.join(', ')} missing.`);

  // osls prints an error's stack where it has one; these are sentences for whoever typed the command.
  if (problems.length > 0) throw Object.assign(new Error(problems.join(' ')), { stack: '' });
  return 'met';
};

const shown = (/** @type {string[]} */ names) => names.map((name) => `--param ${name}=...`).join(' ');

/**
 * Where the CA keys are: in CloudHSM, which takes several parameters, in KMS, or some in each.
 *
 * @param {{ needed: string[], missing: string[] }} forCloudHSM
 * @param {string} issuerKeyArns
 * @returns {string} what is missing; empty when nothing is
 */
function keyNeeds({ needed, missing }, issuerKeyArns) {
  if (missing.length === 0) return '';
  if (missing.length < needed.length) return shown(missing);
  if (issuerKeyArns !== '') return '';
  return `either ${shown(missing)} for CA keys in CloudHSM, or --param issuerKeyArns=... for CA keys in KMS alone`;
}

/** @typedef {(name: string) => Promise<string>} ReadParameter */

/**
 * Pollers beyond the reserved concurrency are throttled.
 *
 * @param {Record<string, FunctionDefinition>} functions
 */
function concurrencyProblems(functions) {
  return Object.entries(functions).flatMap(([name, { reservedConcurrency, events = [] }]) => {
    const pollers = events.reduce((sum, { sqs }) => sum + Number(sqs?.maximumConcurrency ?? 0), 0);
    if (reservedConcurrency === undefined || Number(reservedConcurrency) >= pollers) return [];
    return [`${name}ReservedConcurrency must be at least ${pollers}, which is what polls the queues of ${name}.`];
  });
}

/**
 * @param {Record<string, FunctionDefinition>} functions
 * @param {string[]} margins of which times it matters that they are long enough
 * @param {ReadParameter} value
 */
async function timeProblems(functions, margins, value) {
  const number = async (/** @type {string} */ name) => Number(await value(name));
  const giveUp = await number('giveUpAfterSeconds');
  const visibility = await number('visibilityTimeout');
  const problems = [];
  if (!(giveUp < (await number('maxReceiveCount')) * visibility)) {
    problems.push('giveUpAfterSeconds must be less than maxReceiveCount x visibilityTimeout.');
  }
  if (!((await number('requestAgeAlarmSeconds')) < giveUp)) {
    problems.push('requestAgeAlarmSeconds must be less than giveUpAfterSeconds.');
  }
  if (
    margins.includes('checkSignerSeconds') &&
    !(triesByItself * unlookedAfter * (await number('checkSignerSeconds')) <= giveUp)
  ) {
    problems.push(
      `${unlookedAfter * triesByItself} x checkSignerSeconds must be at most giveUpAfterSeconds: a batch tries the signer by ` +
        `itself after ${unlookedAfter} x checkSignerSeconds (shared/breaker/times.ts), and is to do so ${triesByItself} times ` +
        'before a request is given up.',
    );
  }
  const fed = Object.values(functions).filter(({ events = [] }) => events.some(({ sqs }) => sqs !== undefined));
  const interval = intervalOf(await value('watchSchedule'));
  const asking = Object.values(functions).filter(({ environment = {} }) => 'CHECK_SIGNER_SECONDS' in environment);
  const looks = functions['checkSigner']?.events?.flatMap(({ schedule: rate }) => rate ?? []) ?? [];
  const betweenRuns = intervalOf(await value('reconcileSchedule')) ?? 0;
  const leasts = /** @type {const} */ ([
    ['visibilityTimeout', 6 * Math.max(...fed.map(({ timeout }) => timeout)), "6 times the functions' timeout"],
    ['requestAlarmPeriods', (longestRetryDelay + 60) / 60, 'the longest wait between two tries and a minute'],
    ['watchPeriodSeconds', interval ?? 0, 'what lies between two looks'],
    [
      'checkSignerSeconds',
      Math.max(...looks.map((rate) => intervalOf(rate) ?? 0), Math.max(...asking.map(({ timeout }) => timeout)) / 1.5),
      "what lies between two of check-signer's looks, and two thirds of the functions' timeout (shared/breaker/times.ts)",
    ],
    ['reconcilePeriodSeconds', 2 * betweenRuns, 'twice what lies between two runs of reconcile'],
    [
      'signBeforeSeconds',
      (await number('reconcileAfterSeconds')) + 2 * betweenRuns,
      'reconcileAfterSeconds and twice what lies between two runs of reconcile',
    ],
  ]);
  for (const [name, least, why] of leasts) {
    if (margins.includes(name) && !((await number(name)) >= least)) {
      problems.push(`${name} must be at least ${least}, ${why}.`);
    }
  }
  if (margins.includes('requestAlarmPeriodSeconds') && (await number('requestAlarmPeriodSeconds')) !== 60) {
    const why = 'a value of a longer period is looked at for longer, and of a shorter one there is none';
    problems.push(`requestAlarmPeriodSeconds must be 60: ${why}.`);
  }
  return problems;
}

/**
 * How far an alarm may look back (CloudWatch API reference, PutMetricAlarm, Period): a day, and a week where its period is
 * of an hour or more.
 *
 * @param {ReadParameter} value
 */
async function alarmProblems(value) {
  const requestAlarmPeriods = Number(await value('requestAlarmPeriods'));
  const problems = [];
  // The most periods that an alarm has of each.
  const alarms = /** @type {const} */ ([
    ['requestAlarmPeriodSeconds', requestAlarmPeriods],
    ['watchPeriodSeconds', 2],
    ['reconcilePeriodSeconds', 1],
  ]);
  for (const [name, periods] of alarms) {
    const seconds = Number(await value(name));
    const range = seconds < 3_600 ? 86_400 : 604_800;
    if (seconds * periods > range) {
      const most = Math.floor(range / periods);
      problems.push(`${name} must be at most ${most}: CloudWatch looks back over ${range} s at most, in ${periods} periods.`);
    }
  }
  return problems;
}
