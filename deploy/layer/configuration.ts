import { isIP } from 'node:net';
import { customerCaPath, LayerError } from '../../shared/layer/index.ts';

/** The HSMs' port for clients (CloudHSM user guide, "Create a security group": 2223 to 2225). */
const clientPort = 2223;

export interface ClientConfiguration {
  /** Of the HSMs' network interfaces: IPv4 or IPv6. */
  readonly hsmAddresses: readonly string[];
  /** For a cluster with a single HSM, whose keys are lost with it: see disable_key_availability_check. */
  readonly isKeyAvailabilityCheckDisabled: boolean;
}

/**
 * /opt/cloudhsm/etc/cloudhsm-pkcs11.cfg, as AWS's own `configure-pkcs11` leaves it after
 * `-a <addresses> --hsm-ca-cert ... --log-type term --log-level info [--disable-key-availability-check]`. AWS documents that
 * tool (CloudHSM user guide, "Client SDK 5 configuration parameters", "Client SDK 5 configuration examples"), not its file: the
 * form is that of the files it writes, where `hsm1` is the kind of connection and no HSM type.
 *
 * In Lambda the log goes to the terminal, which is CloudWatch Logs, at the level of AWS's example (the latter page, note on
 * serverless environments). The file and its rotation are not used then; /tmp is the one folder that could be written to.
 */
export function clientConfiguration({ hsmAddresses, isKeyAvailabilityCheckDisabled }: ClientConfiguration): string {
  const configuration = {
    clusters: [
      {
        type: 'hsm1',
        cluster: {
          hsm_ca_file: `/opt/${customerCaPath}`,
          servers: hsmAddresses.map((hostname) => ({ hostname, port: clientPort, enable: true })),
          ...(isKeyAvailabilityCheckDisabled ? { options: { disable_key_availability_check: true } } : {}),
        },
      },
    ],
    logging: { log_type: 'term', log_file: '/tmp/cloudhsm-pkcs11.log', log_level: 'info', log_interval: 'daily' },
  };
  return `${JSON.stringify(configuration, undefined, 2)}\n`;
}

/**
 * @param text addresses with commas, as they were typed
 * @throws LayerError
 */
export function parseHsmAddresses(text: string): string[] {
  const addresses = text.split(',').map((address) => address.trim());
  const cure = 'Write the EniIp of each HSM, as in --hsm-ips 10.0.1.5,10.0.2.7 (aws cloudhsmv2 describe-clusters).';
  const wrong = addresses.find((address) => isIP(address) === 0);
  if (wrong !== undefined) throw new LayerError(`"${wrong}" is no IP address.`, cure);
  const twice = addresses.find((address, index) => addresses.indexOf(address) !== index);
  if (twice !== undefined) throw new LayerError(`${twice} is given twice.`, cure);
  return addresses;
}
