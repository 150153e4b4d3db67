import { type Conditions, type EmbeddedCloud, startEmbeddedCloud } from './embedded/cloud.ts';
import { type Cloud, type LocalCloud, type SigningChoice, startOnThisMachine } from './local-cloud.ts';

/** What may differ from one embedded local cloud to the next; the rest is the deployment's. */
export interface EmbeddedLocalCloudOptions {
  /** Values of `${param:x}` in deploy/*.yml, over those of the stage in deploy/parameters.yml. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Default: through PKCS#11. */
  readonly signing?: SigningChoice;
  readonly conditions?: Conditions;
  /** Variables that every function has besides its own and those of this machine. */
  readonly functionEnvironment?: Readonly<Record<string, string>>;
  /** A line that a function wrote to its log. */
  readonly onFunctionLog: (line: { readonly function: string; readonly pid: number; readonly text: string }) => void;
}

/** The local cloud in this process, with the functions from their bundles in processes of their own: up in a second. */
export function startEmbeddedLocalCloud(
  options: EmbeddedLocalCloudOptions,
): Promise<LocalCloud<EmbeddedCloud & Cloud>> {
  return startOnThisMachine(async ({ region, accountId, stage, stub, parameters, functionEnvironment }) => {
    const cloud = await startEmbeddedCloud({
      definitions: new URL('../deploy/', import.meta.url),
      distribution: new URL('../dist/', import.meta.url),
      region,
      accountId,
      stage,
      parameters: { ...parameters, ...options.parameters },
      stubEndpoint: stub.endpoint,
      functionEnvironment: { ...functionEnvironment, ...options.functionEnvironment },
      onFunctionLog: options.onFunctionLog,
      now: Date.now,
      ...(options.conditions === undefined ? {} : { conditions: options.conditions }),
    });
    // It lives and dies with this process.
    return { ...cloud, died: new Promise<never>(() => undefined) };
  }, options.signing);
}
