/** `npm run layer`: the zip of the Lambda layer with CloudHSM's Client SDK and pkcs11js. docs/deploying.md, "The layer". */
import { accessSync, constants, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeCloudHSMV2Client } from '../../shared/aws-cloudhsm.ts';
import { directLimit, hexSha256, LayerError, readLayer } from '../../shared/layer/index.ts';
import { writeWhole } from '../../shared/output-folder.ts';
import { printable } from '../../shared/terminal/index.ts';
import { parseArguments, usage } from './arguments.ts';
import { buildLayer } from './build.ts';
import { type ClientSdk, readClientSdk } from './client-sdk.ts';
import { describeCluster } from './cluster.ts';
import { type CustomerCa, readCustomerCa, requireSigned } from './customer-ca.ts';
import { decompress } from './decompress.ts';
import { compilePkcs11js } from './pkcs11js.ts';
import { installZiglang } from './ziglang.ts';

const nodeModules = fileURLToPath(new URL('../../node_modules', import.meta.url));

const say = (line: string): boolean => process.stderr.write(`layer: ${printable(line)}\n`);

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) {
    console.log(usage);
    return;
  }
  const {
    sdk: sdkFile,
    ca,
    out,
    architecture,
    hsms,
    sdkSha256,
    isKeyAvailabilityCheckDisabled,
    isJson,
  } = parseArguments(args);
  // What may be wrong is looked at before what takes minutes.
  requirePlace(out);
  const sdk = readClientSdk(sdkFile, readInput(sdkFile), { architecture, expectedSha256: sdkSha256, decompress });
  const customerCa = readCustomerCa(ca, readInput(ca));
  const hsmAddresses = 'addresses' in hsms ? hsms.addresses : await addressesOf(hsms.clusterId, ca, customerCa);
  const ziglang = installZiglang(say);
  say(`compiling pkcs11js for ${architecture} (the first time it takes minutes)`);
  const zip = buildLayer({
    architecture,
    sdk,
    customerCa,
    configuration: { hsmAddresses, isKeyAvailabilityCheckDisabled },
    pkcs11js: compilePkcs11js(architecture, nodeModules, ziglang),
    compilerVersion: ziglang.version,
  });
  // As whoever publishes it will.
  const { manifest, unzippedSize } = readLayer(zip);
  write(out, zip);
  const notes = notesOn(sdk, hsmAddresses, zip.length);
  const facts = { file: out, architecture, sha256: hexSha256(zip), size: zip.length, unzippedSize };
  const lines = [
    `${out}: the layer for ${architecture}, ${megabytes(zip.length)}, unzipped ${megabytes(unzippedSize)}, sha256 ${facts.sha256}`,
    `Client SDK ${sdk.version}, sha256 ${sdk.sha256}`,
    `${ca}: ${customerCa.subject}`,
    `HSMs ${hsmAddresses.join(', ')}`,
    `pkcs11js ${manifest.inputs.pkcs11js}, with the headers of Node ${manifest.inputs.nodeHeaders}, by ziglang ${ziglang.version}`,
    ...notes,
    `Publish it: npx mintmark layer publish ${out}`,
  ];
  console.log(
    isJson
      ? JSON.stringify({ ...facts, manifest, notes }, undefined, 2)
      : lines.map((line) => printable(line)).join('\n'),
  );
}

async function addressesOf(clusterId: string, file: string, customerCa: CustomerCa): Promise<readonly string[]> {
  const { hsmAddresses, certificate } = await describeCluster(makeCloudHSMV2Client(), clusterId);
  if (certificate !== undefined) requireSigned(file, customerCa, certificate);
  return hsmAddresses;
}

function notesOn(sdk: ClientSdk, hsmAddresses: readonly string[], size: number): string[] {
  const left = `${sdk.leftOut.length} files of the package are left out (tools, headers, what is outside /opt/cloudhsm).`;
  return [
    left,
    ...(sdk.missing.length === 0
      ? []
      : [`Its library needs ${sdk.missing.join(', ')}, which are not in the package: Lambda's image must have them.`]),
    ...(hsmAddresses.length > 1
      ? []
      : ['With one address no function finds the cluster once that HSM is gone: give those of all HSMs.']),
    ...(size > directLimit
      ? [`It is larger than Lambda takes in a call (${megabytes(directLimit)}): publish it by way of S3.`]
      : []),
  ];
}

const megabytes = (bytes: number): string => `${(bytes / 1_000_000).toFixed(1)} MB`;

/** @throws LayerError */
function readInput(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    throw new LayerError(`${path} cannot be read (${code}).`, 'Name the file as it is called here.', { cause });
  }
}

/** @throws LayerError */
function requirePlace(path: string): void {
  try {
    accessSync(dirname(path), constants.W_OK);
  } catch (cause) {
    throw cannotWrite(path, cause);
  }
}

/** Whole or not at all. */
function write(path: string, content: Buffer): void {
  try {
    writeWhole(path, content);
  } catch (cause) {
    throw cannotWrite(path, cause);
  }
}

function cannotWrite(path: string, cause: unknown): LayerError {
  const { code = 'unknown' } = cause as NodeJS.ErrnoException;
  return new LayerError(`${path} cannot be written (${code}).`, 'Name another file with --out.', { cause });
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = 2;
  if (error instanceof LayerError) say(`${error.message} ${error.cure}`);
  else say(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
}
