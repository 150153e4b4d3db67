import { MintmarkError } from '../shared/errors.ts';
import { UsageError } from './errors.ts';

/** What is wrong, a sentence, and what to do about it, another. */
export interface Explanation {
  readonly message: string;
  readonly cure: string;
}

interface Kind {
  readonly names: readonly string[];
  readonly says: (where: string, doing: string) => Explanation;
}

/** The names of what AWS clients and Node throw, by what it means for whoever typed the command. */
const kinds: readonly Kind[] = [
  {
    names: ['CredentialsProviderError', 'NoCredentials'],
    says: () => ({
      message: 'There are no AWS credentials.',
      cure: 'Sign in and set AWS_PROFILE; for the local cloud, paste the variables that npm start prints.',
    }),
  },
  {
    names: ['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired'],
    says: () => ({ message: 'The AWS credentials have expired.', cure: 'Sign in again.' }),
  },
  {
    names: [
      'UnrecognizedClientException',
      'InvalidClientTokenId',
      'InvalidSignatureException',
      'SignatureDoesNotMatch',
      'IncompleteSignature',
      'IncompleteSignatureException',
      'InvalidAccessKeyId',
      'MissingAuthenticationToken',
      'MissingAuthenticationTokenException',
    ],
    says: (where) => ({
      message: `${where} does not take these AWS credentials.`,
      cure: 'Check AWS_PROFILE or the AWS_ACCESS_KEY_ID that is set, and the clock of this machine.',
    }),
  },
  {
    names: ['AccessDenied', 'AccessDeniedException', 'AuthorizationErrorException'],
    says: (_, doing) => ({
      message: `These AWS credentials may not do this (${doing}).`,
      cure: "Attach the stage's OperatorPolicy to the role.",
    }),
  },
  {
    names: ['ResourceNotFoundException', 'QueueDoesNotExist', 'AWS.SimpleQueueService.NonExistentQueue'],
    says: (where, doing) => ({
      message: `There is no such thing at ${where} (${doing}).`,
      cure: 'Check --stage or MINTMARK_STAGE, --prefix, AWS_REGION and the account.',
    }),
  },
  {
    names: ['ProvisionedThroughputExceededException', 'ThrottlingException', 'RequestLimitExceeded', 'Throttling'],
    says: (_, doing) => ({ message: `AWS throttles this (${doing}).`, cure: 'Try again in a minute.' }),
  },
  {
    names: [
      'ECONNREFUSED',
      'ECONNRESET',
      'EHOSTUNREACH',
      'ENETUNREACH',
      'ENOTFOUND',
      'EAI_AGAIN',
      'EPIPE',
      'ETIMEDOUT',
      'TimeoutError',
    ],
    says: (where) => ({
      message: `${where} does not answer.`,
      cure: 'Check the network and AWS_ENDPOINT_URL; a local cloud has a new address at each start.',
    }),
  },
];

/**
 * Whatever was thrown, in a sentence and a cure.
 * @param environment for where the clients go
 */
export function explain(error: unknown, environment: NodeJS.ProcessEnv): Explanation {
  if (error instanceof UsageError) return { message: error.message, cure: error.cure };
  const causes = causesOf(error);
  if (causes.some(({ message }) => /\bregion\b/i.test(message) && /missing|invalid|not a valid/i.test(message))) {
    return { message: 'There is no AWS Region.', cure: 'Set AWS_REGION, or the region of your AWS profile.' };
  }
  const names = causes.flatMap(({ name, code }) => [name, code]);
  const kind = kinds.find((one) => one.names.some((name) => names.includes(name)));
  const doing = error instanceof Error ? (error.message.split(': ')[0] ?? '') : '';
  if (kind !== undefined) return kind.says(whereOf(environment), doing);
  if (error instanceof MintmarkError) return { message: error.message, cure: error.cure };
  const { name, message } = causes.at(-1) ?? { name: 'Error', message: String(error) };
  return {
    message: `${name}: ${/[.!?]$/.test(message) ? message : `${message}.`}`,
    cure: 'If this is not about your surroundings, report it as a defect.',
  };
}

const whereOf = (environment: NodeJS.ProcessEnv): string =>
  environment['AWS_ENDPOINT_URL'] || `AWS in ${environment['AWS_REGION'] || 'the Region of your profile'}`;

interface Cause {
  readonly name: string;
  readonly code: string;
  readonly message: string;
}

/** The error and what caused it, outermost first; of several at once (AggregateError) all. */
function causesOf(error: unknown): Cause[] {
  if (!(error instanceof Error)) return [];
  const { code } = error as NodeJS.ErrnoException;
  const inner = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  const own = { name: error.name, code: typeof code === 'string' ? code : '', message: error.message };
  return [own, ...[...inner, error.cause].flatMap(causesOf)];
}
