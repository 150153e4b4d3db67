import type { Architecture, LayerFile } from '../../shared/layer/index.ts';
import {
  configurationPath,
  customerCaPath,
  glibcOfRuntime,
  layerRuntime,
  packLayer,
} from '../../shared/layer/index.ts';
import type { ClientSdk } from './client-sdk.ts';
import { type ClientConfiguration, clientConfiguration } from './configuration.ts';
import type { CustomerCa } from './customer-ca.ts';
import type { Pkcs11js } from './pkcs11js.ts';

/** Everything that a layer is made of, read and looked at. */
export interface LayerInputs {
  readonly architecture: Architecture;
  readonly sdk: ClientSdk;
  readonly customerCa: CustomerCa;
  readonly configuration: ClientConfiguration;
  readonly pkcs11js: Pkcs11js;
  /** Of ziglang. */
  readonly compilerVersion: string;
}

/**
 * The zip that PublishLayerVersion takes; Lambda unpacks it to /opt. Same inputs, same bytes.
 * @throws LayerError for one that Lambda would not take
 */
export function buildLayer(inputs: LayerInputs): Buffer {
  const { architecture, sdk, customerCa, configuration, pkcs11js, compilerVersion } = inputs;
  const own: LayerFile[] = [
    textFile(customerCaPath, customerCa.pem),
    textFile(configurationPath, clientConfiguration(configuration)),
  ];
  // The package comes with a configuration that leads nowhere.
  const ofSdk = sdk.files.filter(({ path }) => !own.some((file) => file.path === path));
  return packLayer([...ofSdk, ...own, ...pkcs11js.files], {
    format: 'mintmark-layer',
    version: 1,
    architecture,
    runtime: layerRuntime,
    glibc: glibcOfRuntime,
    inputs: {
      sdk: { name: sdk.name, version: sdk.version, sha256: sdk.sha256 },
      customerCa: { subject: customerCa.subject, sha256: customerCa.sha256 },
      hsmAddresses: [...configuration.hsmAddresses],
      isKeyAvailabilityCheckDisabled: configuration.isKeyAvailabilityCheckDisabled,
      pkcs11js: pkcs11js.version,
      nodeHeaders: pkcs11js.nodeVersion,
      ziglang: compilerVersion,
    },
  });
}

const textFile = (path: string, text: string): LayerFile => ({
  path,
  content: Buffer.from(text),
  isExecutable: false,
});
