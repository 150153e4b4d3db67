import { setTimeout as delay } from 'node:timers/promises';
import type { LocalCloud } from '../../local/local-cloud.ts';
import { startLocalStack } from '../../local/localstack/start.ts';
import { type LocalStackCloud, startLocalStackLocalCloud } from '../../local/localstack-cloud.ts';
import type { Failure } from '../../shared/ledger/failures.ts';
import { FailureRecords } from '../../shared/ledger/index.ts';
import { CloudUnderTest, endIn, type LoggedEnd } from '../support/cloud-under-test.ts';
import { Api, localStackOptions } from './localstack-fixture.ts';

/** Milliseconds between two looks. Each takes LocalStack some 20 of a processor's, which other tests want at the same time. */
const interval = 250;

/** The stage `local`, deployed to a LocalStack of its own by `serverless deploy`. */
export class DeployedCloud extends CloudUnderTest<LocalCloud<LocalStackCloud>> {
  readonly api: Api;

  private constructor(local: LocalCloud<LocalStackCloud>) {
    super(local);
    this.api = new Api(local.cloud.endpoint);
  }

  /** @param parameters as after `--param` */
  static async start(parameters: Readonly<Record<string, string>>): Promise<DeployedCloud> {
    const local = await startLocalStackLocalCloud({
      launch: (needs) => startLocalStack({ ...localStackOptions(), ...needs }),
      parameters,
      onStep: () => undefined,
    });
    return new DeployedCloud(local);
  }

  /** As in any cloud, with longer between two looks. */
  override until<T>(
    look: () => T | undefined | false | Promise<T | undefined | false>,
    what: string,
    limit?: number,
  ): Promise<T> {
    const unhurried = async () => {
      const seen = await look();
      if (seen === undefined || seen === false) await delay(interval);
      return seen;
    };
    return super.until(unhurried, what, limit);
  }

  /** What CloudFormation's Ref gives of a resource. */
  ref(logicalId: string): string {
    const ref = this.local.cloud.resources[logicalId]?.ref;
    if (ref === undefined) throw new Error(`The stack has no ${logicalId}.`);
    return ref;
  }

  /** As in any cloud, with one call a look and not one for each class and day. */
  override async failure(messageId: string, limit?: number): Promise<Failure> {
    const records = new FailureRecords(this.local.clients.dynamoDB, this.ref('FailuresTable'));
    const isThere = async () => (await records.get([messageId], todayAndYesterday())).length > 0;
    await this.until(isThere, `failure of message ${messageId}`, limit);
    return super.failure(messageId, limit);
  }

  /** Lines in CloudWatch Logs of the function of this logical id; none before its first invocation. */
  async logLines(logicalId = 'IssueLambdaFunction'): Promise<string[]> {
    return (await this.api.logEvents(this.ref(logicalId))).map(({ message }) => message.trimEnd());
  }

  /** What was logged of a message, oldest first. */
  async endsOf(messageId: string): Promise<LoggedEnd[]> {
    const ends = (await this.logLines()).flatMap((line) => endIn(line) ?? []);
    return ends.filter((end) => end.messageId === messageId);
  }

  /** Pauses or resumes an event source mapping, and waits until it has. */
  async setMapping(logicalId: string, enabled: boolean): Promise<void> {
    const uuid = this.ref(logicalId);
    await this.api.updateMapping(uuid, enabled);
    const wanted = enabled ? 'Enabled' : 'Disabled';
    await this.until(async () => (await this.api.mappingState(uuid)) === wanted, `mapping that is ${wanted}`);
  }
}

/** YYYY-MM-DD, UTC: a test may run at midnight. */
export function todayAndYesterday(): string[] {
  const now = Date.now();
  return [now, now - 86_400_000].map((time) => new Date(time).toISOString().slice(0, 10));
}
