import { type DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import {
  type LambdaClient,
  paginateListEventSourceMappings,
  UpdateEventSourceMappingCommand,
} from '@aws-sdk/client-lambda';
import { storeError, string } from '../ledger/index.ts';
import { mappingsKey } from './board.ts';

/** An event source mapping, as far as pausing goes (AWS Lambda API reference, EventSourceMappingConfiguration). */
export interface Mapping {
  readonly uuid: string;
  readonly eventSourceArn: string;
  /** Creating, Enabling, Enabled, Disabling, Disabled, Updating or Deleting. */
  readonly state: string;
}

/** The mappings that feed a function. @throws the Lambda client's errors */
export async function readMappings(client: LambdaClient, functionName: string): Promise<Mapping[]> {
  const mappings: Mapping[] = [];
  for await (const page of paginateListEventSourceMappings({ client }, { FunctionName: functionName })) {
    for (const { UUID: uuid, EventSourceArn: eventSourceArn = '', State: state = '' } of page.EventSourceMappings ?? [])
      if (uuid !== undefined) mappings.push({ uuid, eventSourceArn, state });
  }
  return mappings;
}

export interface MappingChange {
  readonly mapping: Mapping;
  readonly to: 'paused' | 'resumed';
}

/**
 * What is to be done to the mappings. One that somebody else has disabled is left alone: only what was paused here is
 * resumed here. One in the middle of a change cannot be changed; the next look sees it again. Pure.
 * @param paused the uuids of those that were paused here
 */
export function mappingChanges(
  mappings: readonly Mapping[],
  paused: ReadonlySet<string>,
  wanted: 'paused' | 'running',
): MappingChange[] {
  if (wanted === 'paused') {
    return mappings.filter(({ state }) => state === 'Enabled').map((mapping) => ({ mapping, to: 'paused' }));
  }
  return mappings
    .filter(({ uuid, state }) => paused.has(uuid) && (state === 'Disabled' || state === 'Enabled'))
    .map((mapping) => ({ mapping, to: 'resumed' }));
}

export interface MappingsOptions {
  readonly lambda: LambdaClient;
  readonly dynamoDB: DynamoDBClient;
  readonly issuersTable: string;
}

/**
 * Pauses or resumes a mapping; Lambda takes its time to (up to a minute). That it was paused here is written down before,
 * and struck out after it was resumed: whatever happens in between, the next look knows.
 * @throws MintmarkError, and the Lambda client's errors
 */
export async function changeMapping(
  { lambda, dynamoDB, issuersTable }: MappingsOptions,
  { mapping: { uuid, state }, to }: MappingChange,
): Promise<void> {
  const remember = (action: 'ADD' | 'DELETE') => {
    const command = new UpdateItemCommand({
      TableName: issuersTable,
      Key: { issuerId: string(mappingsKey) },
      UpdateExpression: `${action} paused :uuid`,
      ExpressionAttributeValues: { ':uuid': { SS: [uuid] } },
    });
    return dynamoDB.send(command).catch((error: unknown) => {
      throw storeError(error, `Writing down a paused event source mapping in ${issuersTable}`);
    });
  };
  if (to === 'paused') await remember('ADD');
  const enabled = to === 'resumed';
  const isSo = enabled && state === 'Enabled';
  if (!isSo) await lambda.send(new UpdateEventSourceMappingCommand({ UUID: uuid, Enabled: enabled }));
  if (to === 'resumed') await remember('DELETE');
}
