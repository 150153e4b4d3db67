import type { CloudTrailClient } from '@aws-sdk/client-cloudtrail';
import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { IAMClient } from '@aws-sdk/client-iam';
import type { KMSClient } from '@aws-sdk/client-kms';
import type { LambdaClient } from '@aws-sdk/client-lambda';
import type { SQSClient } from '@aws-sdk/client-sqs';
import type { Explanation } from './explain.ts';
import type { Target } from './target.ts';

/** The clients, made when they are first asked for: where they go is decided as the AWS tools decide it (shared/aws.ts). */
export interface Clients {
  dynamoDB(): Promise<DynamoDBClient>;
  sqs(): Promise<SQSClient>;
  lambda(): Promise<LambdaClient>;
  cloudWatch(): Promise<CloudWatchClient>;
  cloudTrail(): Promise<CloudTrailClient>;
  iam(): Promise<IAMClient>;
  /** Of a Region of its own: a key store is in one. */
  kms(region: string): Promise<KMSClient>;
}

/** What a command is given of its surroundings. */
export interface Session {
  /** The stage and the names of what is in it. @throws UsageError when nobody said which stage */
  target(): Target;
  readonly clients: Clients;
  /** stdout is to be one JSON value. */
  readonly isJson: boolean;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  /** For progress. */
  readonly stderr: NodeJS.WriteStream;
  /** A line on stderr. */
  note(line: string): void;
  /** What was thrown, in a sentence and a cure. */
  explain(error: unknown): Explanation;
  /** Ctrl-C, or whatever else asks for an end. */
  readonly interrupted: AbortSignal;
  /** Milliseconds since the epoch. */
  now(): number;
}
