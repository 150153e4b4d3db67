import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { KMSClient } from '@aws-sdk/client-kms';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { SNSClient } from '@aws-sdk/client-sns';
import { SQSClient } from '@aws-sdk/client-sqs';

/**
 * In milliseconds. Without these a connection that nobody answers is waited for until the function's own timeout kills
 * it, with no word of why; three tries of this length leave the function time to say so.
 */
const requestHandler = { connectionTimeout: 1_000, requestTimeout: 3_000, throwOnRequestTimeout: true };

/**
 * Every AWS client is made here, but for two that take long to load and that hardly anything needs (aws-cloudhsm.ts,
 * aws-cloudtrail.ts). Where a client goes is decided as the AWS tools decide it: environment (AWS_ENDPOINT_URL,
 * AWS_ENDPOINT_URL_<SERVICE>, AWS_REGION, credentials), shared config files, instance role. An emulator is therefore
 * nothing but an endpoint variable.
 */
export const makeDynamoDBClient = (): DynamoDBClient => new DynamoDBClient({ requestHandler });

export const makeCloudWatchClient = (): CloudWatchClient => new CloudWatchClient({ requestHandler });

/** @param region another than the environment's: each Region's key store has keys of its own */
export const makeKMSClient = (region?: string): KMSClient =>
  new KMSClient({ requestHandler, ...(region === undefined ? {} : { region }) });

/** An invocation answers when the function does: 60 seconds are the longest that one of ours has. */
export const makeLambdaClient = (): LambdaClient =>
  new LambdaClient({ requestHandler: { ...requestHandler, requestTimeout: 70_000 } });

export const makeSNSClient = (): SNSClient => new SNSClient({ requestHandler });

/** Without `useQueueUrlAsEndpoint: false` the client calls the queue URL's host, which no emulator's name resolves to. */
export const makeSQSClient = (): SQSClient => new SQSClient({ requestHandler, useQueueUrlAsEndpoint: false });
