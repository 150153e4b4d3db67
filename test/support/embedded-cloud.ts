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

/** An embedded cloud with what the tests ask of it. */
export class TestCloud extends CloudUnderTest<LocalCloud<EmbeddedCloud & Cloud>> {
  /** Every line that a function wrote. */
  readonly lines: readonly string[];
  readonly #outcomes: readonly LoggedOutcome[];

  private constructor(
    local: LocalCloud<EmbeddedCloud & Cloud>,
    lines: readonly string[],
    outcomes: readonly LoggedOutcome[],
  ) {
    super(local);
    this.lines = lines;
    this.#outcomes = outcomes;
  }

  /** @param parameters values of `${param:x}` in deploy/*.yml */
  static async start(parameters: Readonly<Record<string, string>> = {}): Promise<TestCloud> {
    const lines: string[] = [];
    const outcomes: LoggedOutcome[] = [];
    const local = await startEmbeddedLocalCloud({
      parameters,
      onFunctionLog: ({ function: name, pid, text }) => {
        lines.push(text);
        const end = endIn(text);
        if (end !== undefined) outcomes.push({ ...end, function: name, pid });
      },
    });
    return new TestCloud(local, lines, outcomes);
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
