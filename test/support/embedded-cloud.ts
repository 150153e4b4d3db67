import { setTimeout as delay } from 'node:timers/promises';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { SQSClient } from '@aws-sdk/client-sqs';
import type { EmbeddedCloud } from '../../local/embedded/cloud.ts';
import { startEmbeddedLocalCloud } from '../../local/embedded-cloud.ts';
import type { Cloud, LocalCloud } from '../../local/local-cloud.ts';
import { CloudUnderTest, endIn, type LoggedEnd } from './cloud-under-test.ts';

export { bodyOf, type TestRequest } from './cloud-under-test.ts';

export interface LoggedOutcome extends LoggedEnd {
  /** Logical id of the function, and its process. */
  readonly function: string;
  readonly pid: number;
}

/** Milliseconds between two looks at breakers: a minute, compressed. */
const lookInterval = 250;

/** Whether a line of the issue function's log says that it opened a breaker. */
function opensBreaker(text: string): boolean {
  if (!text.startsWith('{')) return false;
  const line = JSON.parse(text) as { readonly message?: string; readonly to?: string };
  return line.message === 'breaker' && line.to === 'open';
}

/** An embedded cloud with what the tests ask of it. */
export class TestCloud extends CloudUnderTest<LocalCloud<EmbeddedCloud & Cloud>> {
  /** Every line that a function wrote. */
  readonly lines: readonly string[];
  readonly #outcomes: readonly LoggedOutcome[];
  readonly #stopping = new AbortController();
  #looking: Promise<void> | undefined;

  private constructor(
    local: LocalCloud<EmbeddedCloud & Cloud>,
    lines: readonly string[],
    outcomes: readonly LoggedOutcome[],
  ) {
    super(local);
    this.lines = lines;
    this.#outcomes = outcomes;
  }

  /**
   * @param parameters values of `${param:x}` in deploy/*.yml
   * @param areBreakersLookedAfter as check-signer's schedule does, from the opening of one until all are closed
   */
  static async start(
    parameters: Readonly<Record<string, string>> = {},
    areBreakersLookedAfter = true,
  ): Promise<TestCloud> {
    const lines: string[] = [];
    const outcomes: LoggedOutcome[] = [];
    const onOpening: (() => void)[] = [];
    const local = await startEmbeddedLocalCloud({
      parameters,
      onFunctionLog: ({ function: name, pid, text }) => {
        lines.push(text);
        if (name === 'issue' && opensBreaker(text)) for (const hear of onOpening) hear();
        const end = endIn(text);
        if (end !== undefined) outcomes.push({ ...end, function: name, pid });
      },
    });
    const cloud = new TestCloud(local, lines, outcomes);
    if (areBreakersLookedAfter) onOpening.push(() => cloud.lookAfterBreakers());
    return cloud;
  }

  /** One look of check-signer. @returns the states of the breakers */
  async checkSigner(): Promise<readonly string[]> {
    const { endpoint, environment, functions } = this.local.cloud;
    const credentials = { accessKeyId: 'SCHEDULE', secretAccessKey: 'local' };
    const lambda = new LambdaClient({ endpoint, region: environment.AWS_REGION ?? '', credentials });
    try {
      const { FunctionError: error, Payload: payload } = await lambda.send(
        new InvokeCommand({ FunctionName: functions['checkSigner']?.arn, Payload: Buffer.from('{}') }),
      );
      const answer = Buffer.from(payload ?? []).toString();
      if (error !== undefined) throw new Error(`check-signer failed: ${answer}`);
      return (JSON.parse(answer) as { breakers: { state: string }[] }).breakers.map(({ state }) => state);
    } finally {
      lambda.destroy();
    }
  }

  lookAfterBreakers(): void {
    this.#looking ??= this.#lookUntilClosed().finally(() => {
      this.#looking = undefined;
    });
  }

  async #lookUntilClosed(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted && (await this.checkSigner()).some((state) => state !== 'closed')) {
      await delay(lookInterval, undefined, { signal }).catch(() => undefined);
    }
  }

  override async stop(): Promise<void> {
    this.#stopping.abort();
    try {
      await this.#looking;
    } finally {
      await super.stop();
    }
  }

  /** An SQS client of another IAM identity: SenderId is its access key id. */
  sender(accessKeyId: string): SQSClient {
    return new SQSClient({
      endpoint: this.local.cloud.endpoint,
      region: this.local.cloud.environment.AWS_REGION ?? '',
      credentials: { accessKeyId, secretAccessKey: 'local' },
      useQueueUrlAsEndpoint: false,
    });
  }

  /** What was logged of a message so far, oldest first. */
  outcomesOf(messageId: string): LoggedOutcome[] {
    return this.#outcomes.filter((outcome) => outcome.messageId === messageId);
  }

  /** How the message ended; a retry is no end. */
  ended(messageId: string, limit?: number): Promise<LoggedOutcome> {
    const isEnd = ({ message }: LoggedOutcome) => message !== 'retry';
    return this.until(() => this.outcomesOf(messageId).find(isEnd), `end of message ${messageId}`, limit);
  }
}
