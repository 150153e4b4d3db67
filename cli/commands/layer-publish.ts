import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { LambdaClient } from '@aws-sdk/client-lambda';
import { type Command, InvalidArgumentError } from 'commander';
import {
  directLimit,
  LayerError,
  layerRuntime,
  type Manifest,
  readLayer,
  unzippedLimit,
} from '../../shared/layer/index.ts';
import { defineCommand, type Result } from '../command.ts';
import { UsageError } from '../errors.ts';
import { factLines } from '../facts.ts';

interface Options {
  readonly name: string;
  readonly dryRun?: true;
}

export const command = defineCommand<Options>({
  details: [
    'Refused is a zip that `npm run layer` did not make, that was changed since, or whose libraries are for another processor than',
    'it says. One that is the newest version of that name and architecture already is not published again. Needed are',
    "lambda:ListLayerVersions, GetLayerVersion and PublishLayerVersion: none of the stage's policies has them, they are of whoever",
    'deploys. What is running keeps the version that it has until the stage is deployed with the ARN that is printed.',
  ],
  declare: (command) => declareOwn(command),
  run: async (session, { name, dryRun }, [file = '']) => {
    const { stage } = session.target();
    const zip = readZipFile(file);
    const { manifest, unzippedSize } = openLayer(file, zip);
    if (zip.length > directLimit) throw tooLarge(file, zip.length, name, manifest);
    const about = { name, stage, manifest, size: zip.length, unzippedSize };
    if (dryRun === true) return answer(about, 'nothing', undefined);
    const codeSha256 = createHash('sha256').update(zip).digest('base64');
    const lambda = await session.clients.lambda();
    try {
      const newest = await newestVersion(lambda, name, manifest.architecture);
      if (newest?.codeSha256 === codeSha256) return answer(about, 'unchanged', newest.arn);
      return answer(about, 'published', await publish(lambda, name, zip, manifest, codeSha256));
    } catch (error) {
      throw error instanceof Error && error.name === 'AccessDeniedException' ? notAllowed(error) : error;
    }
  },
});

const declareOwn = (command: Command): Command =>
  command
    .argument('<file>', 'the zip that npm run layer made')
    .option('--name <name>', "the layer's name, of which this becomes a version", layerName, 'cloudhsm')
    .option('--dry-run', 'publish nothing, and ask AWS nothing; say what would be published');

/** A name, not an ARN: it is published into the account and Region of the credentials (API reference, PublishLayerVersion). */
function layerName(text: string): string {
  if (/^[a-zA-Z0-9_-]{1,140}$/.test(text)) return text;
  throw new InvalidArgumentError('It is 1 to 140 letters, digits, hyphens and underscores.');
}

function readZipFile(file: string): Buffer {
  try {
    const { size } = statSync(file);
    if (size > unzippedLimit) {
      throw new UsageError(`${file} has ${size} bytes: no layer is so large.`, 'Name the zip that npm run layer made.');
    }
    return readFileSync(file);
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    throw new UsageError(`${file} cannot be read (${code}).`, 'Name the zip that npm run layer made.', { cause });
  }
}

function openLayer(file: string, zip: Buffer): ReturnType<typeof readLayer> {
  try {
    return readLayer(zip);
  } catch (cause) {
    if (!(cause instanceof LayerError)) throw cause;
    throw new UsageError(`${file} is not published. ${cause.message}`, cause.cure, { cause });
  }
}

interface Version {
  readonly arn: string;
  readonly codeSha256: string | undefined;
}

/** AWS names what is in a version by its zip's SHA-256 (API reference, LayerVersionContentOutput). */
async function newestVersion(
  lambda: LambdaClient,
  name: string,
  architecture: Manifest['architecture'],
): Promise<Version | undefined> {
  const { GetLayerVersionCommand, paginateListLayerVersions } = await import('@aws-sdk/client-lambda');
  const pages = paginateListLayerVersions(
    { client: lambda },
    { LayerName: name, CompatibleArchitecture: architecture },
  );
  const numbers: number[] = [];
  try {
    for await (const { LayerVersions: versions = [] } of pages)
      numbers.push(...versions.map(({ Version = 0 }) => Version));
  } catch (error) {
    // Of a name that is new.
    if (!(error instanceof Error && error.name === 'ResourceNotFoundException')) throw error;
  }
  if (numbers.length === 0) return undefined;
  const { LayerVersionArn: arn = '', Content: content } = await lambda.send(
    new GetLayerVersionCommand({ LayerName: name, VersionNumber: Math.max(...numbers) }),
  );
  return { arn, codeSha256: content?.CodeSha256 };
}

/** Milliseconds: fifty megabytes, and a third more in base64, take a slow line minutes, where other calls take moments. */
const uploadTimeout = 900_000;

/** @returns the version's ARN */
async function publish(
  lambda: LambdaClient,
  name: string,
  zip: Buffer,
  manifest: Manifest,
  codeSha256: string,
): Promise<string> {
  const { PublishLayerVersionCommand } = await import('@aws-sdk/client-lambda');
  const { LayerVersionArn: arn = '', Content: content } = await lambda.send(
    new PublishLayerVersionCommand({
      LayerName: name,
      Description: describe(manifest),
      Content: { ZipFile: zip },
      CompatibleRuntimes: [layerRuntime],
      CompatibleArchitectures: [manifest.architecture],
    }),
    { requestTimeout: uploadTimeout },
  );
  if (content?.CodeSha256 === codeSha256) return arn;
  throw new UsageError(
    `${arn} was published, and is not what was sent: AWS says SHA-256 ${content?.CodeSha256}.`,
    'Do not deploy it: delete that version, and publish again.',
  );
}

/** At most 256 characters. */
const describe = ({ inputs }: Manifest): string =>
  `CloudHSM Client SDK ${inputs.sdk.version} for ${inputs.hsmAddresses.length} HSMs, pkcs11js ${inputs.pkcs11js}`.slice(
    0,
    256,
  );

interface About {
  readonly name: string;
  readonly stage: string;
  readonly manifest: Manifest;
  readonly size: number;
  readonly unzippedSize: number;
}

function answer(about: About, change: 'published' | 'unchanged' | 'nothing', arn: string | undefined): Result {
  const { name, stage, manifest, size, unzippedSize } = about;
  const { architecture, inputs } = manifest;
  const parameters = [`${stage}:`, `  layerArn: ${arn}`, `  architecture: ${architecture}`];
  const head = {
    published: `Published: ${arn}`,
    unchanged: `The newest version is the same already: ${arn}`,
    nothing: `Nothing is published: as a version of ${name} it would be`,
  }[change];
  return {
    exitCode: 0,
    json: { change, name, layerArn: arn, architecture, size, unzippedSize, inputs },
    lines: [
      head,
      ...factLines([
        ['architecture', architecture],
        ['runtime', layerRuntime],
        ['size', `${size} bytes, unzipped ${unzippedSize}`],
        ['Client SDK', inputs.sdk.version],
        ['HSMs', inputs.hsmAddresses.join(', ')],
        ['customerCA', inputs.customerCa.subject],
        ['pkcs11js', inputs.pkcs11js],
      ]),
      ...(arn === undefined ? [] : ['', 'In deploy/parameters.yml, and deployed:', ...parameters]),
    ],
  };
}

function tooLarge(file: string, size: number, name: string, { architecture }: Manifest): UsageError {
  return new UsageError(
    `${file} has ${size} bytes, and Lambda takes ${directLimit} in a call; above that a layer goes by S3, which this command does not do.`,
    `Put it into a bucket of the stage's Region, then: aws lambda publish-layer-version --layer-name ${name} --content S3Bucket=...,S3Key=... --compatible-runtimes ${layerRuntime} --compatible-architectures ${architecture}`,
  );
}

const notAllowed = (cause: Error): UsageError =>
  new UsageError(
    `These AWS credentials may not do this: ${cause.message}`,
    'Use those of whoever deploys: lambda:ListLayerVersions, lambda:GetLayerVersion and lambda:PublishLayerVersion on the layer.',
    { cause },
  );
