import { createPrivateKey, createPublicKey, KeyObject, X509Certificate } from 'node:crypto';
import { MintmarkError } from '../shared/errors.ts';
import { decodeCsr, parseCertificationRequest } from '../shared/issuance/index.ts';
import { UsageError } from './errors.ts';

/** The keys in a file. Of a private key the public one: nothing here keeps, shows or writes the other part. */
export interface KeyMaterial {
  /** DER of SubjectPublicKeyInfo, as a CSR that is accepted has it. */
  readonly publicKeys: readonly Uint8Array[];
  /** How many CA certificates were passed over. */
  readonly caCertificates: number;
}

const pemBlock = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;

const cure =
  'Name files with certificates, CSRs, public keys or private keys, in PEM or DER; or the SHA-256 of a SubjectPublicKeyInfo, in 64 hex digits.';

/**
 * Reads certificates, CSRs, public keys (SubjectPublicKeyInfo or PKCS#1) and private keys (PKCS#8, PKCS#1 or SEC 1): every one
 * in a PEM file, or the one that a DER file is, or its base64. CA certificates are passed over, as a device's file may have its
 * chain in it; the key of another CA than those in the issuers table, which are refused in any case, is named by itself.
 * @throws UsageError where there is none, or one cannot be read; what it says repeats nothing of the file
 */
export function readKeyMaterial(content: Uint8Array): KeyMaterial {
  const text = Buffer.from(content.buffer, content.byteOffset, content.length).toString('latin1');
  const blocks = [...text.matchAll(pemBlock)];
  const found =
    blocks.length > 0
      ? blocks.map(([pem, label = '']) => keyOfPem(label, pem))
      : [keyOfDer(isBase64(text) ? Buffer.from(text, 'base64') : content)];
  const publicKeys = found.flatMap((each) => (each instanceof KeyObject ? canonical(each) : []));
  const caCertificates = found.filter((each) => each === 'CA certificate').length;
  if (publicKeys.length > 0) return { publicKeys, caCertificates };
  throw caCertificates > 0
    ? new UsageError(
        "It holds CA certificates only, which are passed over: a device's file may have its chain in it, and the key of an issuing CA of this stage is refused unblocked.",
        "To name another CA's key, write it into a file by itself (openssl x509 -in FILE -noout -pubkey), and name that.",
      )
    : new UsageError('It holds no key that can be read.', cure);
}

const isBase64 = (text: string): boolean => /^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(text);

type Found = KeyObject | 'CA certificate' | undefined;

function keyOfPem(label: string, pem: string): Found {
  if (label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    throw new UsageError(
      'It holds a private key under a passphrase, which is asked for by nothing here.',
      'Write its public key into a file (openssl pkey -pubout), and name that.',
    );
  }
  if (label === 'OPENSSH PRIVATE KEY') {
    throw new UsageError("It holds a private key in OpenSSH's own format.", cure);
  }
  if (label === 'CERTIFICATE') return keyOfCertificate(pem);
  const isRequest = label === 'CERTIFICATE REQUEST' || label === 'NEW CERTIFICATE REQUEST';
  if (isRequest) return keyOfRequest(pem);
  // EC PARAMETERS, which openssl writes before a key, and whatever else has none.
  if (!label.endsWith('PUBLIC KEY') && !label.endsWith('PRIVATE KEY')) return undefined;
  return reading(() => (label.endsWith('PRIVATE KEY') ? createPublicKey(createPrivateKey(pem)) : createPublicKey(pem)));
}

function keyOfCertificate(certificate: string | Uint8Array): Found {
  const read = reading(() => new X509Certificate(certificate));
  return read.ca ? 'CA certificate' : reading(() => read.publicKey);
}

function keyOfRequest(request: string | Uint8Array): KeyObject {
  try {
    const der = typeof request === 'string' ? decodeCsr(request) : request;
    const { subjectPublicKeyInfo } = parseCertificationRequest(der);
    return createPublicKey({ key: Buffer.from(subjectPublicKeyInfo), format: 'der', type: 'spki' });
  } catch (error) {
    if (error instanceof MintmarkError) throw new UsageError(error.message, cure, { cause: error });
    throw error;
  }
}

/** Which of these it is, only trying says. */
function keyOfDer(content: Uint8Array): Found {
  const key = Buffer.from(content);
  const readers: readonly (() => Found)[] = [
    () => keyOfCertificate(key),
    () => createPublicKey({ key, format: 'der', type: 'spki' }),
    () => createPublicKey({ key, format: 'der', type: 'pkcs1' }),
    () => createPublicKey(createPrivateKey({ key, format: 'der', type: 'pkcs8' })),
    () => createPublicKey(createPrivateKey({ key, format: 'der', type: 'sec1' })),
    () => createPublicKey(createPrivateKey({ key, format: 'der', type: 'pkcs1' })),
    () => keyOfRequest(key),
  ];
  for (const read of readers) {
    try {
      return read();
    } catch {
      // It is none of these, then: `readKeyMaterial` says so of what is none at all.
    }
  }
  return undefined;
}

function reading<Read>(read: () => Read): Read {
  try {
    return read();
  } catch (error) {
    throw new UsageError('It holds a key, or a certificate, that cannot be read.', cure, { cause: error });
  }
}

/** Through its numbers: a file may have a compressed point, or its curve spelled out, which a CSR must not. */
function canonical(publicKey: KeyObject): Uint8Array {
  const { asymmetricKeyType = '', asymmetricKeyDetails } = publicKey;
  const kind = asymmetricKeyDetails?.namedCurve ?? asymmetricKeyType;
  if (!certifiableKinds.has(kind))
    throw new UsageError(`It holds a key of ${kind}, which no profile can certify.`, cure);
  const key = publicKey.export({ format: 'jwk' });
  return createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'der' });
}

/** As OpenSSL calls the kinds of PublicKey (shared/issuance/public-key.ts). */
const certifiableKinds: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1', 'rsa', 'ed25519']);
