/**
 * The closed set of things that can go wrong on a request's way, each with what it means for the request:
 *
 * - `reject-final`: the request is answered with the code and never looked at again under this request id: what is wrong
 *   is in the bytes that its hash covers, and stays so whatever is registered or deployed.
 * - `reject-reopenable`: answered with the code; the same request sent again is decided anew, because what was
 *   wrong lies, or may lie, outside those bytes (registration, profile, a signature over the same content).
 * - `fail`: nobody who may write under the device id can be answered, or it was tried as often as it can be; a row in
 *   `failures`, no retry.
 * - `retry`: nothing is wrong with the request; it is tried again until its age says stop.
 *
 * A code is part of the interface: devices and operators branch on it, so codes are added, never renamed.
 */
export type Disposition = 'reject-final' | 'reject-reopenable' | 'fail' | 'retry';

/** What a row in `failures` is filed under. */
export const failureClasses = [
  'transient-exhausted',
  'signer',
  'store',
  'misconfiguration',
  'unreadable',
  'unauthorised',
  'crashed',
  'bug',
] as const;

export type FailureClass = (typeof failureClasses)[number];

interface ErrorKind {
  readonly disposition: Disposition;
  /** Where it is filed when it ends in `failures`; rejections never do. */
  readonly failureClass?: FailureClass;
  /** What to do about it, for the person who reads the code. */
  readonly cure: string;
}

export const errorKinds = {
  // The message: no device id in it can be believed, so nothing is written under one.
  MESSAGE_TOO_LARGE: {
    disposition: 'fail',
    failureClass: 'unreadable',
    cure: 'Send one CSR in a message of at most 64 KiB.',
  },
  MESSAGE_NOT_JSON: {
    disposition: 'fail',
    failureClass: 'unreadable',
    cure: 'Send a JSON object as the message body, in UTF-8.',
  },
  MESSAGE_VERSION_UNSUPPORTED: {
    disposition: 'fail',
    failureClass: 'unreadable',
    cure: 'Send "version": 1.',
  },
  MESSAGE_INVALID: {
    disposition: 'fail',
    failureClass: 'unreadable',
    cure: 'Send exactly the fields version, requestId, deviceId, profile and csr, in the documented form.',
  },
  SENDER_NOT_ALLOWED: {
    disposition: 'fail',
    failureClass: 'unauthorised',
    cure: 'Whoever is to enrol it is registered for its fleet and profile with `mintmark senders add`, and listed where the profile or the device has a list of allowedSenders; then the request can be redriven.',
  },
  MESSAGE_KILLED_FUNCTION: {
    disposition: 'fail',
    failureClass: 'crashed',
    cure: "Read the issue function's log of the time: what ended it, or kept it from starting. Mend that, then send the request again.",
  },

  // The request, against what is registered.
  PROFILE_UNKNOWN: {
    disposition: 'fail',
    failureClass: 'unauthorised',
    cure: 'Use the name of a profile that is deployed (profiles/*.yaml).',
  },
  DEVICE_UNKNOWN: {
    disposition: 'reject-reopenable',
    cure: 'Register the device, then send the same request again.',
  },
  DEVICE_BLOCKED: {
    disposition: 'reject-reopenable',
    cure: 'Find out why the device was blocked; unblock it, then send the same request again.',
  },
  REQUEST_CONFLICT: {
    disposition: 'reject-final',
    cure: 'Use a new requestId for a new request; the earlier answer under this one stands.',
  },
  ATTEMPTS_EXHAUSTED: {
    disposition: 'fail',
    failureClass: 'transient-exhausted',
    cure: 'Find out why so many attempts were given up (abandonReason in the row, `mintmark queue status`), then ask again under a new requestId: under this one there is no place for another attempt.',
  },

  // The certification request (RFC 2986).
  CSR_TOO_LARGE: {
    disposition: 'reject-final',
    cure: 'Send a CSR of at most 16 KiB of DER.',
  },
  CSR_NOT_DECODABLE: {
    disposition: 'reject-final',
    cure: 'Send the CSR as PEM ("BEGIN CERTIFICATE REQUEST") or as plain base64 of its DER.',
  },
  CSR_TRUNCATED: {
    disposition: 'reject-final',
    cure: 'The CSR is cut short; send it whole.',
  },
  CSR_TRAILING_BYTES: {
    disposition: 'reject-final',
    cure: 'Send the CSR alone, with nothing after its outermost SEQUENCE.',
  },
  CSR_NOT_DER: {
    disposition: 'reject-final',
    cure: 'Encode the CSR in DER (X.690 section 10 and 11); BER forms are refused.',
  },
  CSR_MALFORMED: {
    disposition: 'reject-final',
    cure: 'Send a PKCS#10 CertificationRequest as RFC 2986 defines it.',
  },
  SIGNATURE_ALGORITHM_NOT_ALLOWED: {
    disposition: 'reject-final',
    cure: 'Sign the CSR with SHA-256, SHA-384 or SHA-512 (ECDSA, RSA PKCS#1 v1.5 or PSS), or Ed25519.',
  },
  PROOF_OF_POSSESSION_FAILED: {
    disposition: 'reject-reopenable',
    cure: 'Sign the CSR with the private key of the public key in it.',
  },

  // The key.
  KEY_ALGORITHM_NOT_ALLOWED: {
    disposition: 'reject-reopenable',
    cure: 'Use a key algorithm that the profile lists (EC, RSA or Ed25519).',
  },
  KEY_CURVE_NOT_ALLOWED: {
    disposition: 'reject-reopenable',
    cure: 'Use a named curve that the profile lists.',
  },
  KEY_TOO_SMALL: {
    disposition: 'reject-reopenable',
    cure: 'Use an RSA modulus of at least the size that the profile asks for.',
  },
  KEY_TOO_LARGE: {
    disposition: 'reject-reopenable',
    cure: 'Use an RSA modulus of at most the size that the profile allows.',
  },
  KEY_EXPONENT_NOT_ALLOWED: {
    disposition: 'reject-final',
    cure: 'Use an odd RSA public exponent from 65537 to 2^32 - 1; 65537 is the usual one.',
  },
  KEY_INVALID: {
    disposition: 'reject-final',
    cure: 'Generate a new key pair; this public key is not a valid one for its algorithm.',
  },
  KEY_WEAK: {
    disposition: 'reject-final',
    cure: 'The private key can be computed from this public one: mend or replace what generated it, which made other keys too, then generate a new key pair.',
  },
  KEY_ROCA: {
    disposition: 'reject-final',
    cure: "An Infineon chip with CVE-2017-15361 made the key: update the chip's firmware or generate the key pair outside of it. A new key pair of the same firmware is as weak.",
  },
  KEY_BELONGS_TO_ISSUER: {
    disposition: 'reject-final',
    cure: "Generate a key pair for the device; the issuing CA's own signs certificates and nothing else. Find out who made a CSR with it.",
  },
  KEY_COMPROMISED: {
    disposition: 'reject-reopenable',
    cure: 'Others have the private key: generate a new key pair on the device, and revoke what was issued for the old one (`mintmark relint` finds it; docs/operating.md, "Revoking"). `mintmark keys show` says since when and why the key is refused.',
  },
  KEY_NOT_PINNED: {
    disposition: 'reject-reopenable',
    cure: "Use a key that the device's registration lists under pinnedKeys, or change that with `mintmark devices import` and, a minute later, send the same request again.",
  },
  KEY_REUSED: {
    disposition: 'reject-reopenable',
    cure: "Generate a key pair for each device; `mintmark keys show` says which other one has it. Where it has moved here from that device, the same request may be sent again once that one's certificate has ended.",
  },

  // Policy.
  NAME_NOT_ALLOWED: {
    disposition: 'reject-reopenable',
    cure: 'Ask for no name, or for the names that the profile grants this device.',
  },
  EXTENSION_NOT_ALLOWED: {
    disposition: 'reject-reopenable',
    cure: 'Leave the extension out of the CSR; the profile decides the extensions.',
  },
  LINT_FAILED: {
    disposition: 'reject-reopenable',
    cure: 'The certificate would break a rule that the profile must keep; mend the profile, then send the request again.',
  },

  // What the device, its fleet or the profile has already.
  RENEWAL_TOO_EARLY: {
    disposition: 'reject-reopenable',
    cure: 'Send the same request again from the time that the message names. A device that lost its key has its certificate revoked first (docs/operating.md, "Revoking").',
  },
  RENEWAL_KEY_NOT_ALLOWED: {
    disposition: 'reject-final',
    cure: 'Renew with a new key pair, or with the same one, as the profile says, in a new request.',
  },
  QUOTA_EXCEEDED: {
    disposition: 'reject-reopenable',
    cure: 'Send the same request again after the time that the message names; find out what asks so often. The limits are in the profile, the number of live certificates also in the registration.',
  },

  // Ours, not the request's.
  ISSUER_NOT_ACTIVE: {
    disposition: 'retry',
    failureClass: 'misconfiguration',
    cure: 'Let the name that the profile calls its issuer lead to an active one: mintmark issuers list, then activate.',
  },
  ISSUER_EXPIRES_TOO_SOON: {
    disposition: 'retry',
    failureClass: 'misconfiguration',
    cure: "Roll the issuing CA (mintmark issuers add, activate): the profile's validity does not fit into what is left of it.",
  },
  CONFIGURATION_INVALID: {
    disposition: 'retry',
    failureClass: 'misconfiguration',
    cure: 'Set what the message lists, then deploy again.',
  },
  PIN_UNSEAL_FAILED: {
    disposition: 'retry',
    failureClass: 'signer',
    cure: 'Check that the custom key store is CONNECTED and that its sealing key is enabled.',
  },
  PIN_UNSEAL_REFUSED: {
    disposition: 'retry',
    failureClass: 'misconfiguration',
    cure: "Check that the function may kms:Decrypt with the sealing key, and that the PIN in the issuer's row was sealed with it for this stage, cluster and issuer.",
  },
  SIGNER_UNAVAILABLE: {
    disposition: 'retry',
    failureClass: 'transient-exhausted',
    cure: "Check the CloudHSM cluster: its state, its HSMs, and the network from the function to them. Of an awskms: issuer, check the key's state and the account's quota of kms:Sign.",
  },
  SIGNER_MISCONFIGURED: {
    disposition: 'retry',
    failureClass: 'misconfiguration',
    cure: "Check the issuer's signer URI, the crypto user, its PIN and that the key is shared with it. Of an awskms: issuer, check that the key is in the stage's issuerKeyArns, its key policy, its state and its usage.",
  },
  SIGNER_PIN_REFUSED: {
    disposition: 'retry',
    failureClass: 'misconfiguration',
    cure: "Seal the crypto user's present PIN (`mintmark pin seal`); check with the crypto officer that the user is not locked.",
  },
  SIGNER_DEADLINE: {
    disposition: 'retry',
    failureClass: 'transient-exhausted',
    cure: 'The HSM, or KMS, did not answer in time; check its load and the function timeout.',
  },
  SIGNER_PAUSED: {
    disposition: 'retry',
    failureClass: 'transient-exhausted',
    cure: 'The breaker keeps requests from a signer that is away or signs wrongly, or an operator paused it: `mintmark queue status` says why and what to do.',
  },
  SIGNATURE_WRONG: {
    disposition: 'retry',
    failureClass: 'signer',
    cure: "The signer returned a signature that the issuer's certificate does not verify: treat the HSM as suspect.",
  },
  STORE_UNAVAILABLE: {
    disposition: 'retry',
    failureClass: 'transient-exhausted',
    cure: 'Check DynamoDB and SNS: throttling, and the network from the function to them; then redrive.',
  },
  STORE_REFUSED: {
    disposition: 'retry',
    failureClass: 'store',
    cure: "Check that the tables and topics exist and that the function's role may use them; then redrive.",
  },
  INTERNAL: {
    disposition: 'retry',
    failureClass: 'bug',
    cure: 'This is a defect in Mintmark; report it with the log of this message id.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorKinds;

/** Everything that this code throws on purpose. `message` says what is wrong in one sentence, with no secret in it. */
export class MintmarkError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'MintmarkError';
    this.code = code;
  }

  get disposition(): Disposition {
    return errorKinds[this.code].disposition;
  }

  get cure(): string {
    return errorKinds[this.code].cure;
  }
}

/** The class that a code is filed under in `failures`; a rejection that ends there is our own mistake. */
export function failureClassOf(code: ErrorCode): FailureClass {
  const kind: ErrorKind = errorKinds[code];
  return kind.failureClass ?? 'bug';
}

/** Any thrown value as a MintmarkError, so that what nobody foresaw is counted as a defect and not lost. */
export function asMintmarkError(error: unknown): MintmarkError {
  if (error instanceof MintmarkError) return error;
  return new MintmarkError('INTERNAL', error instanceof Error ? error.message : String(error), { cause: error });
}
