/**
 * @typedef {object} VariableResolution what osls hands to a function in a `file` variable
 * @property {{ region?: string }} options of the command line
 * @property {(variable: string) => Promise<unknown>} resolveVariable
 */

const list = 'a comma-separated list without spaces of';

/** What a value must look like: a mistake here would else be found in the middle of a deployment, or never. */
const forms = /** @type {Record<string, [RegExp, string]>} */ ({
  region: [/^[a-z]{2}(-[a-z]+)+-\d$/, 'a Region, e.g. eu-central-1'],
  layerArn: [/^arn:[^:]+:lambda:[^:]+:\d{12}:layer:[^:]+:\d+$/, "a layer version's ARN (it ends in a number)"],
  subnetIds: [/^subnet-[0-9a-f]+(,subnet-[0-9a-f]+)*$/, `${list} subnet ids`],
  securityGroupIds: [/^sg-[0-9a-f]+(,sg-[0-9a-f]+)*$/, `${list} security group ids`],
  sealingKeyArn: [/^arn:[^:]+:kms:[^:]+:\d{12}:key\/[^/]+$/, "a KMS key's ARN (an alias does not count in IAM policies)"],
  publicBucket: [/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'a bucket name'],
  cloudFrontDistributionArn: [/^arn:[^:]+:cloudfront::\d{12}:distribution\/[^/]+$/, "a CloudFront distribution's ARN"],
});

/** Of the redrive queue's mapping, in functions.yml. */
const redriveConcurrency = 2;

/**
 * Checks that everything is there that packaging cannot know to be missing: parameters without a value or of the wrong
 * form, and bundles that were not built.
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

  const missing = [];
  for (const name of await names('requiredParameters')) if ((await value(name)) === '') missing.push(name);
  if (missing.length > 0) {
    const shown = missing.map((name) => `--param ${name}=...`).join(' ');
    problems.push(`The stage ${stage} needs ${shown} (docs/deploying.md says what each is).`);
  }
  for (const name of await names('requiredEnvironment')) {
    if ((process.env[name] ?? '') === '') problems.push(`The stage ${stage} needs the environment variable ${name}.`);
  }
  for (const [name, [form, description]] of Object.entries(forms)) {
    const given = await value(name);
    if (given !== '' && !form.test(given)) problems.push(`${name} must be ${description}; it is ${given}.`);
  }
  const region = await value('region');
  for (const name of ['layerArn', 'sealingKeyArn']) {
    const elsewhere = (await value(name)).split(':')[3] ?? region;
    if (region !== '' && elsewhere !== region) problems.push(`${name} is in ${elsewhere}, the stage in ${region}.`);
  }
  const [mapped, reserved] = [Number(await read('issueConcurrency')), Number(await read('issueReservedConcurrency'))];
  if (!(reserved >= mapped + redriveConcurrency)) {
    problems.push(`issueReservedConcurrency must be at least issueConcurrency + ${redriveConcurrency}.`);
  }

  const [giveUp, receives, visibility] = [
    Number(await read('giveUpAfterSeconds')),
    Number(await read('maxReceiveCount')),
    Number(await read('visibilityTimeout')),
  ];
  if (!(giveUp < receives * visibility)) {
    problems.push('giveUpAfterSeconds must be less than maxReceiveCount x visibilityTimeout.');
  }

  const { existsSync } = await import('node:fs');
  const path = await import('node:path');
  const functions = /** @type {Record<string, { handler: string }>} */ (
    await resolveVariable('file(deploy/functions.yml)')
  );
  const bundles = Object.values(functions).map(({ handler }) => handler.replace(/\.[^.]+$/, '.mjs'));
  const unbuilt = bundles.filter((bundle) => !existsSync(path.join(__dirname, '..', bundle)));
  if (unbuilt.length > 0) problems.push(`Run npm run build first: ${unbuilt.join(', ')} missing.`);

  // osls prints an error's stack where it has one; these are sentences for whoever typed the command.
  if (problems.length > 0) throw Object.assign(new Error(problems.join(' ')), { stack: '' });
  return 'met';
};
