import { X509Certificate } from 'node:crypto';
import { hexSha256, LayerError } from '../../shared/layer/index.ts';

/** The certificate that signed the cluster's: AWS's guides call its file customerCA.crt. */
export interface CustomerCa {
  /** PEM, of the certificate alone. */
  readonly pem: string;
  readonly subject: string;
  /** Of the DER, hex. */
  readonly sha256: string;
  readonly certificate: X509Certificate;
}

const cure =
  'Give customerCA.crt, the self-signed certificate with which the cluster was initialised (CloudHSM user guide, "Initialize the cluster").';

/**
 * @param file for messages
 * @throws LayerError for anything but one self-signed CA certificate in PEM
 */
export function readCustomerCa(file: string, bytes: Buffer): CustomerCa {
  const text = bytes.toString('latin1');
  // Whoever has it signs HSMs of his own; a layer is read by all who may use it.
  if (text.includes('PRIVATE KEY')) {
    throw new LayerError(`${file} holds a private key, which must not come into a layer.`, cure);
  }
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length !== 1) throw new LayerError(`${file} holds ${blocks.length} certificates in PEM, not one.`, cure);
  const certificate = parse(file, blocks[0] ?? '');
  if (!certificate.ca || !certificate.checkIssued(certificate) || !certificate.verify(certificate.publicKey)) {
    throw new LayerError(`The certificate in ${file} is no CA's that is signed by itself.`, cure);
  }
  return {
    pem: certificate.toString(),
    subject: certificate.subject.replaceAll('\n', ', '),
    sha256: hexSha256(certificate.raw),
    certificate,
  };
}

function parse(file: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new LayerError(`The certificate in ${file} cannot be read.`, cure, { cause });
  }
}

/**
 * @param clusterCertificate PEM, as DescribeClusters gives it
 * @throws LayerError where it was another CA that signed it: no client with this one would connect
 */
export function requireSigned(file: string, { certificate }: CustomerCa, clusterCertificate: string): void {
  const cluster = new X509Certificate(clusterCertificate);
  if (cluster.checkIssued(certificate) && cluster.verify(certificate.publicKey)) return;
  throw new LayerError(`The certificate in ${file} did not sign that of the cluster: no function could connect.`, cure);
}
