import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import * as z from 'zod';
import { MintmarkError } from '../../shared/errors.ts';

/** The parts of the deployment that the embedded cloud runs; the rest (roles, alarms) has no counterpart here. */
const resourceFiles = ['tables.yml', 'messaging.yml', 'storage.yml'] as const;
const functionsFile = 'functions.yml';
const parametersFile = 'parameters.yml';

/**
 * What is asked for in the definitions and does not exist here, by resource type: it would change who may do what, what
 * survives, or how fast things go, never what a request means. Everything else that is not known is an error.
 */
const withoutCounterpart: Readonly<Record<string, readonly string[]>> = {
  // Kept in memory and gone with the process: nothing to recover, to protect from deletion or to encrypt.
  'AWS::DynamoDB::Table': [
    'DeletionProtectionEnabled',
    'PointInTimeRecoverySpecification',
    'ContributorInsightsSpecification',
    'SSESpecification',
    'Tags',
    'TimeToLiveSpecification',
  ],
  'AWS::SQS::Queue': [
    'SqsManagedSseEnabled',
    'KmsMasterKeyId',
    'KmsDataKeyReusePeriodSeconds',
    'RedriveAllowPolicy',
    'Tags',
  ],
  'AWS::SNS::Topic': ['KmsMasterKeyId', 'Tags'],
  // Objects are served to anyone on this machine, as CloudFront serves them to anyone at AWS.
  'AWS::S3::Bucket': [
    'BucketEncryption',
    'OwnershipControls',
    'PublicAccessBlockConfiguration',
    'Tags',
    'VersioningConfiguration',
  ],
  // No IAM, no VPC, one machine, and the bundles lie where the build put them.
  function: [
    'architecture',
    'description',
    'layers',
    'logRetentionInDays',
    'maximumEventAge',
    'maximumRetryAttempts',
    'package',
    'reservedConcurrency',
    'role',
    'runtime',
    'tags',
    'vpc',
  ],
};

export interface Surroundings {
  /** The gateway, which queue URLs point to. */
  readonly endpoint: string;
  readonly region: string;
  readonly accountId: string;
  readonly stage: string;
  /** Over those of the stage, as `--param` is for serverless. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** A resource as others refer to it: `ref` is what CloudFormation's Ref gives. */
export interface ResourceReference {
  readonly type: string;
  readonly ref: string;
  readonly arn: string;
  /** Queues only. */
  readonly url?: string;
}

const keySchema = z
  .array(z.strictObject({ AttributeName: z.string(), KeyType: z.enum(['HASH', 'RANGE']) }))
  .min(1)
  .max(2);
const secondaryIndex = z.strictObject({
  IndexName: z.string().min(3),
  KeySchema: keySchema,
  Projection: z.strictObject({
    ProjectionType: z.enum(['ALL', 'KEYS_ONLY', 'INCLUDE']),
    NonKeyAttributes: z.array(z.string()).optional(),
  }),
});
const table = z.strictObject({
  TableName: z.string().min(3),
  BillingMode: z.literal('PAY_PER_REQUEST'),
  AttributeDefinitions: z.array(z.strictObject({ AttributeName: z.string(), AttributeType: z.enum(['S', 'N', 'B']) })),
  KeySchema: keySchema,
  LocalSecondaryIndexes: z.array(secondaryIndex).optional(),
  GlobalSecondaryIndexes: z.array(secondaryIndex).optional(),
});

const count = z.coerce.number().int().nonnegative();
const queue = z.strictObject({
  QueueName: z.string(),
  DelaySeconds: count.optional(),
  MaximumMessageSize: count.optional(),
  MessageRetentionPeriod: count.optional(),
  ReceiveMessageWaitTimeSeconds: count.optional(),
  VisibilityTimeout: count.optional(),
  RedrivePolicy: z.strictObject({ deadLetterTargetArn: z.string(), maxReceiveCount: count.min(1) }).optional(),
});
const topic = z.strictObject({ TopicName: z.string() });
const bucket = z.strictObject({ BucketName: z.string() });

const sqsEvent = z.strictObject({
  arn: z.string(),
  // A poller takes one ReceiveMessage's worth; AWS gathers more only with a batching window, which is not here.
  batchSize: count.min(1).max(10).default(10),
  enabled: z.boolean().default(true),
  functionResponseType: z.literal('ReportBatchItemFailures').optional(),
  maximumConcurrency: count.min(1).optional(),
});

const millisecondsOf = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

/** A rate expression to milliseconds (Amazon EventBridge, "Schedule types in EventBridge Scheduler"); no cron. */
const schedule = z
  .string()
  .regex(/^rate\([1-9]\d* (minute|hour|day)s?\)$/, 'must be a rate, such as rate(5 minutes)')
  .transform((rate) => {
    const [, value, unit] = /^rate\((\d+) (minute|hour|day)/.exec(rate) ?? [];
    return Number(value) * millisecondsOf[unit as keyof typeof millisecondsOf];
  });

const lambdaFunction = z.strictObject({
  handler: z.string().regex(/^[^.]+(\.[^.]+)+$/, 'must be a path without extension, a dot and an export name'),
  name: z.string().optional(),
  timeout: count.min(1).max(900).default(6),
  memorySize: count.default(1024),
  environment: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String)).default({}),
  events: z.array(z.strictObject({ sqs: sqsEvent.optional(), schedule: schedule.optional() })).default([]),
});

export type TableDefinition = z.infer<typeof table>;
export type QueueDefinition = z.infer<typeof queue>;
export type FunctionDefinition = Omit<z.infer<typeof lambdaFunction>, 'events'> & {
  readonly logicalId: string;
  readonly functionName: string;
  readonly queues: readonly z.infer<typeof sqsEvent>[];
  /** Milliseconds between two invocations, of each of its schedules. */
  readonly schedules: readonly number[];
};

export interface Definitions {
  readonly tables: readonly TableDefinition[];
  readonly queues: readonly QueueDefinition[];
  readonly topics: readonly z.infer<typeof topic>[];
  readonly buckets: readonly z.infer<typeof bucket>[];
  readonly functions: readonly FunctionDefinition[];
  /** By logical id. */
  readonly references: Readonly<Record<string, ResourceReference>>;
}

/** The parsed definition files, nothing resolved yet. */
export interface Documents {
  /** Logical id → resource, of every resource file. */
  readonly resources: Readonly<Record<string, unknown>>;
  /** Name → function. */
  readonly functions: Readonly<Record<string, unknown>>;
  /** Stage, or `default` → name → value. */
  readonly parameters?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const mapping = z.record(z.string(), z.unknown());
const parameterFile = z.record(z.string(), z.record(z.string(), z.union([z.string(), z.number()]).transform(String)));

/**
 * Reads the definition files of the deploy folder; one without parameters.yml has all of them given.
 *
 * @throws MintmarkError CONFIGURATION_INVALID for YAML that is not YAML, or has tags (`!Ref`) instead of long forms
 */
export async function readDocuments(folder: URL): Promise<Documents> {
  const resources: Record<string, unknown> = {};
  const parameters = new URL(parametersFile, folder);
  for (const file of resourceFiles) {
    Object.assign(resources, mapping.parse((await readYaml(new URL(file, folder)))['Resources'] ?? {}));
  }
  return {
    resources,
    functions: await readYaml(new URL(functionsFile, folder)),
    parameters: parameterFile.parse(existsSync(parameters) ? await readYaml(parameters) : {}),
  };
}

async function readYaml(file: URL): Promise<Record<string, unknown>> {
  const document = parseDocument(await readFile(file, 'utf8'));
  const problems = [...document.errors, ...document.warnings];
  if (problems.length > 0) {
    throw invalid(problems.map((problem) => `${file.pathname}: ${problem.message}`));
  }
  return mapping.parse(document.toJS() ?? {});
}

/**
 * Resolves variables (`${param:x}`, `${sls:stage}`, `${aws:region}`, `${aws:accountId}`) and intrinsic functions (Ref,
 * Fn::GetAtt) and checks every definition against what the embedded cloud can do. Pure.
 *
 * @throws MintmarkError CONFIGURATION_INVALID that lists everything that is wrong
 */
export function resolveDefinitions(documents: Documents, given: Surroundings): Definitions {
  const problems: string[] = [];
  const surroundings = { ...given, parameters: parametersOf(documents.parameters ?? {}, given, problems) };
  const references = referencesOf(documents.resources, surroundings, problems);
  const resolve = (value: unknown, where: string) => resolveValue(value, where, { surroundings, references, problems });
  const check = <T>(schema: z.ZodType<T>, value: unknown, where: string): T[] => {
    const checked = schema.safeParse(value);
    if (checked.success) return [checked.data];
    problems.push(...checked.error.issues.map((issue) => [where, ...issue.path].join('.') + `: ${issue.message}`));
    return [];
  };
  const of = <T>(type: keyof typeof resourceTypes, schema: z.ZodType<T>): T[] =>
    Object.entries(documents.resources).flatMap(([logicalId, definition]) => {
      const resource = mapping.safeParse(definition).data ?? {};
      if (resource['Type'] !== type) return [];
      const properties = resolve(without(resource['Properties'], type), logicalId);
      return check(schema, properties, logicalId);
    });

  const definitions: Definitions = {
    tables: of('AWS::DynamoDB::Table', table),
    queues: of('AWS::SQS::Queue', queue),
    topics: of('AWS::SNS::Topic', topic),
    buckets: of('AWS::S3::Bucket', bucket),
    functions: Object.entries(documents.functions).flatMap(([logicalId, definition]) => {
      const where = `functions.${logicalId}`;
      const [checked] = check(lambdaFunction, resolve(without(definition, 'function'), where), where);
      if (checked === undefined) return [];
      const { events, ...rest } = checked;
      const queues = events.flatMap((event) => event.sqs ?? []);
      const schedules = events.flatMap((event) => event.schedule ?? []);
      const functionName = checked.name ?? `mintmark-${surroundings.stage}-${logicalId}`;
      return [{ ...rest, logicalId, functionName, queues, schedules }];
    }),
    references,
  };
  const queueArns = new Set(Object.values(references).flatMap(({ arn, url }) => (url === undefined ? [] : arn)));
  for (const { logicalId, queues } of definitions.functions) {
    for (const { arn } of queues) {
      if (!queueArns.has(arn)) problems.push(`functions.${logicalId}.events: ${arn} is not a queue defined here`);
    }
  }
  if (problems.length > 0) throw invalid([...new Set(problems)]);
  return definitions;
}

/** What is given goes before what the stage has, that before the default; a value may hold variables but no parameters. */
function parametersOf(
  written: NonNullable<Documents['parameters']>,
  surroundings: Surroundings,
  problems: string[],
): Record<string, string> {
  const ofStage = { ...written['default'], ...written[surroundings.stage] };
  const withoutParameters = { ...surroundings, parameters: {} };
  const resolved = Object.entries(ofStage).map(([name, value]) => [
    name,
    substitute(value, `parameters.${name}`, withoutParameters, problems),
  ]);
  return { ...(Object.fromEntries(resolved) as Record<string, string>), ...surroundings.parameters };
}

/** What Ref and Fn::GetAtt give for each type (AWS CloudFormation, the resource's "Return values"). */
const resourceTypes = {
  'AWS::DynamoDB::Table': {
    name: 'TableName',
    reference: (name: string, { region, accountId }: Surroundings) => ({
      ref: name,
      arn: `arn:aws:dynamodb:${region}:${accountId}:table/${name}`,
    }),
  },
  'AWS::SQS::Queue': {
    name: 'QueueName',
    reference: (name: string, { region, accountId, endpoint }: Surroundings) => ({
      ref: `${endpoint}/${accountId}/${name}`,
      url: `${endpoint}/${accountId}/${name}`,
      arn: `arn:aws:sqs:${region}:${accountId}:${name}`,
    }),
  },
  'AWS::SNS::Topic': {
    name: 'TopicName',
    reference: (name: string, { region, accountId }: Surroundings) => ({
      ref: `arn:aws:sns:${region}:${accountId}:${name}`,
      arn: `arn:aws:sns:${region}:${accountId}:${name}`,
    }),
  },
  'AWS::S3::Bucket': {
    name: 'BucketName',
    reference: (name: string) => ({ ref: name, arn: `arn:aws:s3:::${name}` }),
  },
} as const;

function referencesOf(
  resources: Documents['resources'],
  surroundings: Surroundings,
  problems: string[],
): Record<string, ResourceReference> {
  const references: Record<string, ResourceReference> = {};
  for (const [logicalId, definition] of Object.entries(resources)) {
    const { Type: type, Properties: properties } = mapping.safeParse(definition).data ?? {};
    const known = Object.entries(resourceTypes).find(([name]) => name === type);
    if (known === undefined) {
      problems.push(`${logicalId}: the embedded cloud has no ${String(type)}`);
      continue;
    }
    const [typeName, { name, reference }] = known;
    const written = mapping.safeParse(properties).data?.[name];
    if (typeof written !== 'string') {
      problems.push(`${logicalId}: ${name} must be given, as text`);
      continue;
    }
    const physical = substitute(written, `${logicalId}.${name}`, surroundings, problems);
    references[logicalId] = { type: typeName, ...reference(physical, surroundings) };
  }
  return references;
}

function without(properties: unknown, type: string): unknown {
  const checked = mapping.safeParse(properties);
  if (!checked.success) return properties ?? {};
  const leftOut = withoutCounterpart[type] ?? [];
  return Object.fromEntries(Object.entries(checked.data).filter(([name]) => !leftOut.includes(name)));
}

interface Resolution {
  readonly surroundings: Surroundings;
  readonly references: Readonly<Record<string, ResourceReference>>;
  readonly problems: string[];
}

function resolveValue(value: unknown, where: string, resolution: Resolution): unknown {
  if (typeof value === 'string') return substitute(value, where, resolution.surroundings, resolution.problems);
  if (Array.isArray(value)) return value.map((item, index) => resolveValue(item, `${where}.${index}`, resolution));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  const [first] = entries;
  if (first !== undefined && entries.length === 1 && (first[0] === 'Ref' || first[0].startsWith('Fn::'))) {
    return resolveIntrinsic(first[0], first[1], where, resolution);
  }
  return Object.fromEntries(entries.map(([name, item]) => [name, resolveValue(item, `${where}.${name}`, resolution)]));
}

function resolveIntrinsic(
  name: string,
  argument: unknown,
  where: string,
  { surroundings, references, problems }: Resolution,
): string {
  if (name === 'Ref' && argument === 'AWS::Region') return surroundings.region;
  if (name === 'Ref' && argument === 'AWS::AccountId') return surroundings.accountId;
  if (name === 'Ref' && typeof argument === 'string') {
    const reference = references[argument];
    if (reference !== undefined) return reference.ref;
  }
  if (name === 'Fn::GetAtt' && Array.isArray(argument) && argument.length === 2) {
    const reference = references[String(argument[0])];
    const isArn = argument[1] === 'Arn' || (argument[1] === 'TopicArn' && reference?.type === 'AWS::SNS::Topic');
    if (reference !== undefined && isArn) return reference.arn;
  }
  problems.push(`${where}: cannot resolve ${JSON.stringify({ [name]: argument })}`);
  return '';
}

function substitute(text: string, where: string, surroundings: Surroundings, problems: string[]): string {
  return text.replaceAll(/\$\{([^}]*)\}/g, (whole, variable: string) => {
    const value = variable.startsWith('param:')
      ? surroundings.parameters[variable.slice('param:'.length)]
      : { 'sls:stage': surroundings.stage, 'aws:region': surroundings.region, 'aws:accountId': surroundings.accountId }[
          variable
        ];
    if (value === undefined) problems.push(`${where}: ${whole} has no value`);
    return value ?? '';
  });
}

function invalid(problems: readonly string[]): MintmarkError {
  return new MintmarkError(
    'CONFIGURATION_INVALID',
    `The definitions in the deploy folder cannot be used:\n${problems.map((problem) => `- ${problem}`).join('\n')}`,
  );
}
