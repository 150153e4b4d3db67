import { constructedTag, DerError, type DerReader, nameOfTag } from '../asn1/index.ts';
import { MintmarkError } from '../errors.ts';
import { describeObjectIdentifier, objectIdentifiers } from './object-identifiers.ts';
import { describePublicKey, type PublicKey } from './public-key.ts';

export type HashAlgorithm = 'sha256' | 'sha384' | 'sha512';

/** How a CSR is signed. */
export type SignatureAlgorithm =
  | { readonly algorithm: 'ecdsa' | 'rsa-pkcs1-v1_5'; readonly hash: HashAlgorithm }
  /** `saltLength` in octets; the mask generation function is MGF1 with the same hash. */
  | { readonly algorithm: 'rsa-pss'; readonly hash: HashAlgorithm; readonly saltLength: number }
  | { readonly algorithm: 'ed25519' };

/** RFC 5758 section 3.2, RFC 4055 section 5. */
const hashedSignatures = new Map<string, SignatureAlgorithm & { readonly hash: HashAlgorithm }>([
  [objectIdentifiers.ecdsaWithSha256, { algorithm: 'ecdsa', hash: 'sha256' }],
  [objectIdentifiers.ecdsaWithSha384, { algorithm: 'ecdsa', hash: 'sha384' }],
  [objectIdentifiers.ecdsaWithSha512, { algorithm: 'ecdsa', hash: 'sha512' }],
  [objectIdentifiers.sha256WithRsaEncryption, { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha256' }],
  [objectIdentifiers.sha384WithRsaEncryption, { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha384' }],
  [objectIdentifiers.sha512WithRsaEncryption, { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha512' }],
]);

const hashes = new Map<string, HashAlgorithm>([
  [objectIdentifiers.idSha256, 'sha256'],
  [objectIdentifiers.idSha384, 'sha384'],
  [objectIdentifiers.idSha512, 'sha512'],
]);

const hashOctets: Record<HashAlgorithm, number> = { sha256: 32, sha384: 48, sha512: 64 };
const defaultSaltLength = 20;

function notAllowed(message: string): MintmarkError {
  return new MintmarkError('SIGNATURE_ALGORITHM_NOT_ALLOWED', message);
}

/** RFC 4055 section 2.1: whoever reads a hash's AlgorithmIdentifier takes NULL parameters and none for the same. */
function readOptionalNull(algorithmIdentifier: DerReader): void {
  if (!algorithmIdentifier.isAtEnd) algorithmIdentifier.readNull();
  algorithmIdentifier.expectEnd('AlgorithmIdentifier');
}

function readHash(reader: DerReader): HashAlgorithm {
  const algorithmIdentifier = reader.readSequence();
  const identifier = algorithmIdentifier.readObjectIdentifier();
  const hash = hashes.get(identifier);
  if (hash === undefined)
    throw notAllowed(
      `The CSR is signed with RSA-PSS over ${describeObjectIdentifier(identifier)}, not SHA-256, SHA-384 or SHA-512.`,
    );
  readOptionalNull(algorithmIdentifier);
  return hash;
}

function readMaskGenerationHash(reader: DerReader): HashAlgorithm {
  const algorithmIdentifier = reader.readSequence();
  const identifier = algorithmIdentifier.readObjectIdentifier();
  if (identifier !== objectIdentifiers.idMgf1) {
    throw notAllowed(
      `The CSR's RSA-PSS mask generation function is ${describeObjectIdentifier(identifier)}, not MGF1.`,
    );
  }
  const hash = readHash(algorithmIdentifier);
  algorithmIdentifier.expectEnd('AlgorithmIdentifier');
  return hash;
}

/** `[number] EXPLICIT`, where it is present. */
function readTagged<T>(parameters: DerReader, number: number, read: (reader: DerReader) => T): T | undefined {
  const tag = constructedTag(number);
  if (parameters.peekTag() !== tag) return undefined;
  const explicit = parameters.readConstructed(tag);
  const value = read(explicit);
  explicit.expectEnd(nameOfTag(tag));
  return value;
}

/**
 * RSASSA-PSS-params, RFC 4055 section 3.1. Any salt length that fits the key is allowed: openssl's own default is the
 * longest that does. A DEFAULT that is encoded is no DER; the defaults of the hashes are SHA-1, which is not allowed.
 */
function readPssParameters(algorithmIdentifier: DerReader): SignatureAlgorithm {
  const parameters = algorithmIdentifier.readSequence();
  const hash = readTagged(parameters, 0, readHash);
  const maskGenerationHash = readTagged(parameters, 1, readMaskGenerationHash);
  if (hash === undefined || maskGenerationHash === undefined) {
    throw notAllowed('The CSR is signed with RSA-PSS over SHA-1, the default where its parameters name no hash.');
  }
  if (hash !== maskGenerationHash) {
    throw notAllowed(
      `The CSR is signed with RSA-PSS over ${hash}, with MGF1 over ${maskGenerationHash}; one hash is needed.`,
    );
  }
  const saltLengthOffset = parameters.offset;
  const saltLength = readTagged(parameters, 2, (reader) => reader.readSmallInteger());
  const trailerFieldOffset = parameters.offset;
  const trailerField = readTagged(parameters, 3, (reader) => reader.readSmallInteger());
  parameters.expectEnd('RSASSA-PSS-params');
  if (trailerField !== undefined && trailerField !== 1) {
    throw parameters.malformed(`an RSA-PSS trailerField of ${trailerField}`, trailerFieldOffset);
  }
  if (saltLength === defaultSaltLength) throw encodedDefault(saltLengthOffset);
  if (trailerField === 1) throw encodedDefault(trailerFieldOffset);
  return { algorithm: 'rsa-pss', hash, saltLength: saltLength ?? defaultSaltLength };
}

function encodedDefault(offset: number): DerError {
  return new DerError('not-der', offset, 'a DEFAULT value that is encoded');
}

/**
 * The signatureAlgorithm of a CSR. Parameters: none for ECDSA (RFC 5758 section 3.2) and Ed25519 (RFC 8410 section 3);
 * NULL for RSA PKCS#1 v1.5, where RFC 4055 section 5 has readers take none as well.
 * @throws DerError, MintmarkError SIGNATURE_ALGORITHM_NOT_ALLOWED
 */
export function readSignatureAlgorithm(reader: DerReader): SignatureAlgorithm {
  const algorithmIdentifier = reader.readSequence();
  const identifier = algorithmIdentifier.readObjectIdentifier();
  const hashed = hashedSignatures.get(identifier);
  if (hashed?.algorithm === 'rsa-pkcs1-v1_5') {
    readOptionalNull(algorithmIdentifier);
    return hashed;
  }
  if (identifier === objectIdentifiers.idRsassaPss) {
    const pss = readPssParameters(algorithmIdentifier);
    algorithmIdentifier.expectEnd('AlgorithmIdentifier');
    return pss;
  }
  if (hashed === undefined && identifier !== objectIdentifiers.idEd25519) {
    throw notAllowed(
      `The CSR is signed with ${describeObjectIdentifier(identifier)}; ECDSA or RSA with SHA-256, SHA-384 or SHA-512, or Ed25519, may be used.`,
    );
  }
  algorithmIdentifier.expectEnd('AlgorithmIdentifier');
  return hashed ?? { algorithm: 'ed25519' };
}

/**
 * Whether such a signature can come from such a key at all.
 * @throws MintmarkError SIGNATURE_ALGORITHM_NOT_ALLOWED
 */
export function checkSignatureFitsKey(signatureAlgorithm: SignatureAlgorithm, key: PublicKey): void {
  const { algorithm } = signatureAlgorithm;
  const kind = algorithm === 'ecdsa' ? 'ec' : algorithm === 'ed25519' ? 'ed25519' : 'rsa';
  if (kind !== key.kind) {
    throw notAllowed(`The CSR is signed with ${algorithm}, and its key is ${describePublicKey(key)}.`);
  }
  if (algorithm !== 'rsa-pss' || key.kind !== 'rsa') return;
  // RFC 8017 section 9.1.1: emLen >= hLen + sLen + 2, where emLen counts the octets of modBits - 1 bits.
  const longest = Math.ceil((key.modulusBits - 1) / 8) - hashOctets[signatureAlgorithm.hash] - 2;
  if (signatureAlgorithm.saltLength > longest) {
    throw notAllowed(`The CSR's RSA-PSS salt of ${signatureAlgorithm.saltLength} octets does not fit its key.`);
  }
}
