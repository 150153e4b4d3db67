import { MintmarkError } from '../shared/errors.ts';
import { type FileProblem, UsageError } from './errors.ts';
import { Interrupted } from './interruptible.ts';

/** What is wrong, a sentence, and what to do about it, another. */
export interface Explanation {
  readonly message: string;
  readonly cure: string;
  /** File by file, where there are several. */
  readonly problems?: readonly FileProblem[];
}

interface Kind {
  readonly names: readonly string[];
  readonly says: (thrown: Thrown) => Explanation;
}

interface Thrown {
  /** Where the clients go. */
  readonly where: string;
  /** What was being done, in parentheses with a space before them; empty where nobody wrote it down. */
  readonly doing: string;
  /** What AWS or its client says itself, a sentence. */
  readonly said: string;
  readonly profile: string | undefined;
}

/** The names of what AWS clients and Node throw, by what it means for whoever typed the command. */
const kinds: readonly Kind[] = [
  {
    names: ['CredentialsProviderError', 'TokenProviderError', 'NoCredentials'],
    says: withoutCredentials,
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
    says: ({ where }) => ({
      message: `${where} does not take these AWS credentials.`,
      cure: 'Check AWS_PROFILE or the AWS_ACCESS_KEY_ID that is set, and the clock of this machine.',
    }),
  },
  {
    names: ['AccessDenied', 'AccessDeniedException', 'AuthorizationErrorException'],
    says: ({ doing, said }) => ({
      message: `These AWS credentials may not do this${doing}: ${said}`,
      cure: "Attach the stage's OperatorPolicy to the role; to change devices, senders or keys, the RegistrationPolicy; to change issuers, the IssuersPolicy; to seal PINs, the PinsPolicy; to redrive or dismiss, the RedrivePolicy, and name the role in redriveRoleArns.",
    }),
  },
  {
    names: ['ResourceNotFoundException', 'QueueDoesNotExist', 'AWS.SimpleQueueService.NonExistentQueue'],
    says: ({ where, doing }) => ({
      message: `There is no such thing at ${where}${doing}.`,
      cure: 'Check --stage or MINTMARK_STAGE, --prefix, AWS_REGION and the account.',
    }),
  },
  {
    names: ['ProvisionedThroughputExceededException', 'ThrottlingException', 'RequestLimitExceeded', 'Throttling'],
    says: ({ doing }) => ({ message: `AWS throttles this${doing}.`, cure: 'Try again in a minute.' }),
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
    says: ({ where, doing }) => ({
      message: `${where} does not answer${doing}.`,
      cure: 'Check the network and AWS_ENDPOINT_URL; a local cloud has a new address at each start.',
    }),
  },
];

/** What keeps them away is said by their provider, unless it is that every provider was asked in vain. */
function withoutCredentials({ said, profile }: Thrown): Explanation {
  if (said.includes('multi-factor authentication')) {
    return {
      message: `The profile ${profile} asks for a code (mfa_serial), which this command cannot.`,
      cure: 'Let the AWS CLI ask: eval "$(aws configure export-credentials --format env)", then unset AWS_PROFILE.',
    };
  }
  if (!said.startsWith('Could not load credentials from any providers')) {
    return { message: `There are no AWS credentials: ${said}`, cure: 'Do as it says, then run the same again.' };
  }
  return profile === undefined
    ? {
        message: 'There are no AWS credentials.',
        cure: 'Sign in and set AWS_PROFILE; for the local cloud, paste the variables that npm start prints.',
      }
    : {
        message: `There are no AWS credentials in the profile ${profile} (AWS_PROFILE).`,
        cure: 'Check its name and what it holds: aws configure list-profiles, aws sts get-caller-identity.',
      };
}

/**
 * Whatever was thrown, in a sentence and a cure.
 * @param environment for where the clients go
 */
export function explain(error: unknown, environment: NodeJS.ProcessEnv): Explanation {
  if (error instanceof Interrupted) return { message: error.message, cure: '' };
  if (error instanceof UsageError) {
    const { message, cure, problems } = error;
    return problems.length === 0 ? { message, cure } : { message, cure, problems };
  }
  const causes = causesOf(error);
  if (causes.some(({ message }) => /\bregion\b/i.test(message) && /missing|invalid|not a valid/i.test(message))) {
    return { message: 'There is no AWS Region.', cure: 'Set AWS_REGION, or the region of your AWS profile.' };
  }
  const names = causes.flatMap(({ name, code }) => [name, code]);
  const kind = kinds.find((one) => one.names.some((name) => names.includes(name)));
  if (kind !== undefined) {
    // Of the causes that say the same, the one that says it best is AWS's own: the last.
    const said = causes.findLast(({ name, code }) => kind.names.some((one) => one === name || one === code));
    return kind.says({
      where: whereOf(environment),
      doing: doingOf(error),
      said: sentenceOf(said?.message ?? ''),
      profile: environment['AWS_PROFILE'] || undefined,
    });
  }
  if (error instanceof MintmarkError) return { message: error.message, cure: error.cure };
  const { name, message } = causes.at(-1) ?? { name: 'Error', message: String(error) };
  return {
    message: `${name}: ${sentenceOf(message)}`,
    cure: 'If this is not about your surroundings, report it as a defect.',
  };
}

/** What we wrote down before what AWS said; an error without a cause is AWS's own. */
function doingOf(error: unknown): string {
  if (!(error instanceof Error) || error.cause === undefined) return '';
  return ` (${error.message.split(': ')[0]})`;
}

const sentenceOf = (text: string): string => {
  const line = text.trim().replaceAll(/\s+/g, ' ');
  return /[.!?]$/.test(line) ? line : `${line}.`;
};

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
