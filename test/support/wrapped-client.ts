import { type DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';

/** What a network can do to a call: it never arrives, or its answer never does. */
export type CallFault = 'not-written' | 'reply-lost';

interface Planned {
  readonly concerns: (command: object) => boolean;
  readonly fault: CallFault;
  left: number;
}

export interface WrappedClient {
  readonly client: DynamoDBClient;
  /** The next `count` calls that `concerns` names fail so. */
  fail(concerns: (command: object) => boolean, fault: CallFault, count?: number): void;
  /** Runs once before the next call that `concerns` names. */
  before(concerns: (command: object) => boolean, run: () => Promise<unknown>): void;
  /** Every command sent, failed ones too. */
  readonly commands: readonly object[];
}

export function wrapClient(client: DynamoDBClient): WrappedClient {
  const planned: Planned[] = [];
  const interludes: { readonly concerns: (command: object) => boolean; readonly run: () => Promise<unknown> }[] = [];
  const commands: object[] = [];
  const send = client.send.bind(client) as (command: object) => Promise<unknown>;
  const wrapped = async (command: object): Promise<unknown> => {
    commands.push(command);
    const interlude = interludes.findIndex(({ concerns }) => concerns(command));
    if (interlude >= 0) await interludes.splice(interlude, 1)[0]?.run();
    const plan = planned.find(({ left, concerns }) => left > 0 && concerns(command));
    if (plan === undefined) return send(command);
    plan.left--;
    if (plan.fault === 'reply-lost') await send(command);
    throw Object.assign(new Error('socket hang up'), { name: 'TimeoutError' });
  };
  client.send = wrapped as typeof client.send;
  return {
    client,
    commands,
    fail: (concerns, fault, count = 1) => planned.push({ concerns, fault, left: count }),
    before: (concerns, run) => interludes.push({ concerns, run }),
  };
}

/** Updates of a table; of the issuance table, those that bring a row into a state. */
export const updates =
  (table: string, to?: string) =>
  (command: object): boolean => {
    if (!(command instanceof UpdateItemCommand) || command.input.TableName !== table) return false;
    return to === undefined || command.input.ExpressionAttributeValues?.[':to']?.S === to;
  };
