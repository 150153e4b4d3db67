import type { ApiCall } from '../../local/embedded/api-call.ts';
import { stage } from '../../local/local-cloud.ts';

/** What is asked of DynamoDB (JSON 1.0), as far as it tells one step from another. */
interface Input {
  readonly TableName?: string;
  readonly RequestItems?: Readonly<Record<string, unknown>>;
  readonly Key?: Readonly<Record<string, { readonly S?: string }>>;
  readonly UpdateExpression?: string;
  readonly ExpressionAttributeValues?: Readonly<Record<string, { readonly S?: string }>>;
}

interface Step {
  readonly call: `${string} ${string}`;
  /** What the stage's table is called, after its prefix. */
  readonly table?: string;
  readonly is?: (input: Input) => boolean;
}

const movesTo = (state: string) => (input: Input) => input.ExpressionAttributeValues?.[':to']?.S === state;
const ofBreaker = ({ Key: key }: Input) => key?.issuerId?.S?.startsWith('#breaker#') === true;
const ofLogin = ({ Key: key }: Input) => key?.issuerId?.S?.startsWith('#login#') === true;
const ofName = ({ Key: key }: Input) => key?.issuerId?.S?.startsWith('#issuing#') === true;
const does =
  (change: string, state?: string) =>
  (input: Input): boolean =>
    ofBreaker(input) &&
    input.UpdateExpression?.includes(change) === true &&
    (state === undefined || movesTo(state)(input));

/**
 * The issue function's calls of AWS, in the order of a request that meets all of them: what it reads, what it writes, and
 * what it tells. A process can die before and after each. (What tries a breaker that nobody looks after, what holds one
 * for a refused PIN or puts that PIN in doubt, and what counts PINs that cannot be unsealed is one conditional write each,
 * and none of them happens in the drill: test/contract/breaker.test.ts has them, each beside every other.)
 */
const calls = {
  'read the rows': { call: 'dynamodb BatchGetItem', table: 'issuance' },
  'read the devices': { call: 'dynamodb BatchGetItem', table: 'devices' },
  'read the senders': { call: 'dynamodb BatchGetItem', table: 'senders' },
  'read the keys': { call: 'dynamodb BatchGetItem', table: 'keys' },
  'read the breaker': { call: 'dynamodb GetItem', table: 'issuers', is: ofBreaker },
  'take a probe of the breaker': { call: 'dynamodb UpdateItem', table: 'issuers', is: does('probesLeft - :one') },
  'read the name of the issuer': { call: 'dynamodb GetItem', table: 'issuers', is: ofName },
  'read the issuer': {
    call: 'dynamodb GetItem',
    table: 'issuers',
    is: (input) => !ofBreaker(input) && !ofName(input) && !ofLogin(input),
  },
  "read the CAs' keys": { call: 'dynamodb Scan', table: 'issuers' },
  'unseal the PIN': { call: 'kms Decrypt' },
  'abandon the intent': { call: 'dynamodb UpdateItem', table: 'issuance', is: movesTo('abandoned') },
  'revoke the abandoned serial number': { call: 'dynamodb UpdateItem', table: 'revocations' },
  'settle the abandoned attempt': {
    call: 'dynamodb UpdateItem',
    table: 'issuance',
    is: ({ UpdateExpression: update }) => update?.startsWith('REMOVE ') === true,
  },
  'record the intent': { call: 'dynamodb UpdateItem', table: 'issuance', is: movesTo('intent') },
  'ask whether it is revoked': { call: 'dynamodb GetItem', table: 'revocations' },
  'reject the request': { call: 'dynamodb UpdateItem', table: 'issuance', is: movesTo('rejected') },
  'store the certificate': { call: 'dynamodb UpdateItem', table: 'issuance', is: movesTo('issued') },
  'announce the certificate': { call: 'sns PublishBatch' },
  'record the failure': {
    call: 'dynamodb UpdateItem',
    table: 'failures',
    is: ({ UpdateExpression: update }) => update?.startsWith('SET firstCode') === true,
  },
  'keep the first error': { call: 'dynamodb UpdateItem', table: 'failures' },
  'count a failure of the signer': {
    call: 'dynamodb UpdateItem',
    table: 'issuers',
    is: does('ADD failedBatches'),
  },
  'forget its failures': {
    call: 'dynamodb UpdateItem',
    table: 'issuers',
    is: does('SET #state = :to REMOVE failedBatches'),
  },
  'open the breaker': { call: 'dynamodb UpdateItem', table: 'issuers', is: does('revision = :next', 'open') },
  'close the breaker': { call: 'dynamodb UpdateItem', table: 'issuers', is: does('revision = :next', 'closed') },
  'find the queue': { call: 'sqs GetQueueUrl' },
  'postpone messages': { call: 'sqs ChangeMessageVisibilityBatch' },
  'tell CloudWatch': { call: 'monitoring PutMetricData' },
} as const satisfies Readonly<Record<string, Step>>;

export type CallStep = keyof typeof calls;

export const callSteps = Object.keys(calls) as CallStep[];

/** Of the first process that logs in, and of those that start; so few in a drill that none is required. */
const callsOfFirstLogin = {
  'ask for the first login': { call: 'dynamodb GetItem', table: 'issuers', is: ofLogin },
  'take the first login': {
    call: 'dynamodb UpdateItem',
    table: 'issuers',
    is: (input) => ofLogin(input) && input.ExpressionAttributeValues?.[':begun'] !== undefined,
  },
  'say what came of the first login': { call: 'dynamodb UpdateItem', table: 'issuers', is: ofLogin },
} as const satisfies Readonly<Record<string, Step>>;

const allCalls: readonly (readonly [string, Step])[] = Object.entries({ ...calls, ...callsOfFirstLogin });

/** Which step a call is. One that is none of the list is named by its operation, and is killed at all the same. */
export function stepOf({ service, operation, request }: Pick<ApiCall, 'service' | 'operation' | 'request'>): string {
  const input = inputOf(request.body);
  const tables = [input.TableName ?? [], Object.keys(input.RequestItems ?? {})].flat();
  const call = `${service} ${operation}`;
  const [found] =
    allCalls.find(([, step]) => {
      const isTable = step.table === undefined || tables.includes(`mintmark-${stage}-${step.table}`);
      return step.call === call && isTable && (step.is?.(input) ?? true);
    }) ?? [];
  const to = input.ExpressionAttributeValues?.[':to']?.S;
  return found ?? [call, ...tables, ...(to === undefined ? [] : [`to ${to}`])].join(' ');
}

/** Query and CBOR are told by their operation alone. */
function inputOf(body: Buffer): Input {
  const text = body.toString();
  return text.startsWith('{') ? (JSON.parse(text) as Input) : {};
}
