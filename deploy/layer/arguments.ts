import { parseArgs } from 'node:util';
import { type Architecture, architectures, LayerError } from '../../shared/layer/index.ts';
import { parseHsmAddresses } from './configuration.ts';

export const usage =
  'Usage: npm run layer -- --sdk <package.rpm> --ca <customerCA.crt> (--hsm-ips <address,...> | --cluster-id <id>) ' +
  '--out <layer.zip> [--architecture arm64|x86_64] [--sdk-sha256 <hex>] [--disable-key-availability-check] [--json]';

/** What was typed. */
export interface LayerArguments {
  readonly sdk: string;
  readonly ca: string;
  readonly out: string;
  readonly architecture: Architecture;
  readonly hsms: { readonly addresses: readonly string[] } | { readonly clusterId: string };
  /** Hex, in small letters. */
  readonly sdkSha256: string | undefined;
  readonly isKeyAvailabilityCheckDisabled: boolean;
  readonly isJson: boolean;
}

/** @throws LayerError */
export function parseArguments(args: readonly string[]): LayerArguments {
  const values = parse(args);
  const { sdk, ca, out, architecture = 'arm64', 'hsm-ips': addresses, 'cluster-id': clusterId } = values;
  if (sdk === undefined || ca === undefined || out === undefined) {
    const lacking = Object.entries({ '--sdk': sdk, '--ca': ca, '--out': out }).filter(
      ([, value]) => value === undefined,
    );
    throw wrongUse(`${lacking.map(([name]) => name).join(', ')} must be given.`);
  }
  if ((addresses === undefined) === (clusterId === undefined)) {
    throw wrongUse('One of --hsm-ips and --cluster-id must be given.');
  }
  const known = architectures.find((one) => one === architecture);
  if (known === undefined) throw wrongUse(`--architecture ${architecture} is neither of ${architectures.join(', ')}.`);
  const sdkSha256 = values['sdk-sha256']?.toLowerCase();
  if (sdkSha256 !== undefined && !/^[0-9a-f]{64}$/.test(sdkSha256)) {
    throw wrongUse('--sdk-sha256 is 64 hex digits, as AWS publishes them.');
  }
  return {
    sdk,
    ca,
    out,
    architecture: known,
    hsms: addresses === undefined ? { clusterId: clusterId ?? '' } : { addresses: parseHsmAddresses(addresses) },
    sdkSha256,
    isKeyAvailabilityCheckDisabled: values['disable-key-availability-check'] === true,
    isJson: values.json === true,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        sdk: { type: 'string' },
        ca: { type: 'string' },
        out: { type: 'string' },
        architecture: { type: 'string' },
        'hsm-ips': { type: 'string' },
        'cluster-id': { type: 'string' },
        'sdk-sha256': { type: 'string' },
        'disable-key-availability-check': { type: 'boolean' },
        json: { type: 'boolean' },
      },
    }).values;
  } catch (cause) {
    throw new LayerError(cause instanceof Error ? cause.message : String(cause), usage, { cause });
  }
}

const wrongUse = (sentence: string): LayerError => new LayerError(sentence, usage);
