import { createHash } from 'node:crypto';
import * as z from 'zod';
import { architectures, glibcOfRuntime, layerRuntime } from './architecture.ts';
import type { LayerFile } from './zip.ts';

/** Where the manifest lies in the layer: /opt/mintmark-layer.json in Lambda. */
export const manifestPath = 'mintmark-layer.json';

/** The PKCS#11 library in the layer: what deploy/parameters.yml, `pkcs11Library`, says of /opt. */
export const libraryPath = 'cloudhsm/lib/libcloudhsm_pkcs11.so';

/** pkcs11js as it is compiled; Lambda's NODE_PATH has /opt/nodejs/node_modules. */
export const bindingPath = 'nodejs/node_modules/pkcs11js/build/Release/pkcs11.node';

/** The client's configuration, where the library looks for it. */
export const configurationPath = 'cloudhsm/etc/cloudhsm-pkcs11.cfg';

/** The certificate of who signed the cluster's (CloudHSM user guide, "Place the issuing certificate"). */
export const customerCaPath = 'cloudhsm/etc/customerCA.crt';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const schema = z.strictObject({
  format: z.literal('mintmark-layer'),
  version: z.literal(1),
  architecture: z.enum(architectures),
  runtime: z.literal(layerRuntime),
  glibc: z.literal(glibcOfRuntime),
  /** What it was made of. */
  inputs: z.strictObject({
    /** AWS's package. `version` is the package's, with its release. */
    sdk: z.strictObject({ name: z.string(), version: z.string(), sha256 }),
    /** The certificate's, in DER. */
    customerCa: z.strictObject({ subject: z.string(), sha256 }),
    hsmAddresses: z.array(z.string()).min(1),
    isKeyAvailabilityCheckDisabled: z.boolean(),
    pkcs11js: z.string(),
    nodeHeaders: z.string(),
    ziglang: z.string(),
  }),
  /** Every file but the manifest itself, by path. Sizes in bytes. */
  files: z.array(z.strictObject({ path: z.string(), size: z.int().nonnegative(), sha256 })),
});

/** What a layer of ours says of itself. */
export type Manifest = z.infer<typeof schema>;

/** @throws {Error} with zod's sentences */
export function parseManifest(content: Uint8Array): Manifest {
  const read = schema.safeParse(JSON.parse(Buffer.from(content).toString('utf8')));
  if (read.success) return read.data;
  throw new Error(z.prettifyError(read.error));
}

export const hexSha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** The files as the manifest lists them. */
export const listFiles = (files: readonly LayerFile[]): Manifest['files'] =>
  files
    .map(({ path, content }) => ({ path, size: content.length, sha256: hexSha256(content) }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
