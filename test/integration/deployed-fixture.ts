import type { LocalCloud } from '../../local/local-cloud.ts';
import { startLocalStack } from '../../local/localstack/start.ts';
import { type LocalStackCloud, startLocalStackLocalCloud } from '../../local/localstack-cloud.ts';
import { CloudUnderTest, endIn, type LoggedEnd } from '../support/cloud-under-test.ts';
import { Api, localStackOptions } from './localstack-fixture.ts';

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

  /** What CloudFormation's Ref gives of a resource. */
  ref(logicalId: string): string {
    const ref = this.local.cloud.resources[logicalId]?.ref;
    if (ref === undefined) throw new Error(`The stack has no ${logicalId}.`);
    return ref;
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
