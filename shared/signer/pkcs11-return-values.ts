import type { ErrorCode } from '../errors.ts';

/**
 * What a PKCS#11 return value means for us:
 *
 * - `transient`: this call failed; another one may work.
 * - `session`: the session, the login or the connection behind it is gone; everything is opened anew and the call
 *   repeated once.
 * - `misconfiguration`: it will fail until somebody changes something.
 * - `bug`: our own call was wrong; no operator can help.
 */
export type ReturnValueKind = 'transient' | 'session' | 'misconfiguration' | 'bug';

export interface ReturnValue {
  readonly name: string;
  readonly value: number;
  readonly kind: ReturnValueKind;
  /** For the operator: what it says about the HSM, the user or the key. */
  readonly sentence: string;
}

const ourCallWasWrong = 'Mintmark called the PKCS#11 library in a way that it does not take.';
const noUseOfOurs = 'The PKCS#11 library answered with a value that belongs to a function Mintmark does not call.';

/** Every return value of PKCS#11 v2.40 (pkcs11t.h), but CKR_OK. CloudHSM's own use of them is said where AWS does. */
const table: readonly (readonly [name: string, value: number, kind: ReturnValueKind, sentence: string])[] = [
  ['CKR_CANCEL', 0x01, 'transient', 'The PKCS#11 library cancelled the call.'],
  ['CKR_HOST_MEMORY', 0x02, 'transient', 'The PKCS#11 library ran out of memory: give the function more.'],
  ['CKR_SLOT_ID_INVALID', 0x03, 'session', 'The slot is gone from the PKCS#11 library.'],
  ['CKR_GENERAL_ERROR', 0x05, 'session', 'The PKCS#11 library failed for good; its own log says why.'],
  ['CKR_FUNCTION_FAILED', 0x06, 'transient', 'The HSM was busy or could not do it this time (CloudHSM: throttled).'],
  ['CKR_ARGUMENTS_BAD', 0x07, 'bug', ourCallWasWrong],
  ['CKR_NO_EVENT', 0x08, 'bug', noUseOfOurs],
  ['CKR_NEED_TO_CREATE_THREADS', 0x09, 'bug', ourCallWasWrong],
  ['CKR_CANT_LOCK', 0x0a, 'misconfiguration', 'The PKCS#11 library cannot be used from several threads.'],
  ['CKR_ATTRIBUTE_READ_ONLY', 0x10, 'bug', noUseOfOurs],
  ['CKR_ATTRIBUTE_SENSITIVE', 0x11, 'bug', 'A key attribute was asked for that the HSM does not reveal.'],
  ['CKR_ATTRIBUTE_TYPE_INVALID', 0x12, 'misconfiguration', 'The key lacks an attribute that Mintmark must check.'],
  ['CKR_ATTRIBUTE_VALUE_INVALID', 0x13, 'bug', ourCallWasWrong],
  ['CKR_ACTION_PROHIBITED', 0x1b, 'misconfiguration', 'The policy of the HSM or of the key forbids it.'],
  ['CKR_DATA_INVALID', 0x20, 'bug', ourCallWasWrong],
  ['CKR_DATA_LEN_RANGE', 0x21, 'bug', 'The digest has a length that the key or mechanism does not take.'],
  ['CKR_DEVICE_ERROR', 0x30, 'session', 'The HSM or the connection to it failed.'],
  ['CKR_DEVICE_MEMORY', 0x31, 'transient', 'The HSM has no room for another session or object at the moment.'],
  ['CKR_DEVICE_REMOVED', 0x32, 'session', 'The HSM is gone: it was removed from the cluster or cannot be reached.'],
  ['CKR_ENCRYPTED_DATA_INVALID', 0x40, 'bug', noUseOfOurs],
  ['CKR_ENCRYPTED_DATA_LEN_RANGE', 0x41, 'bug', noUseOfOurs],
  ['CKR_FUNCTION_CANCELED', 0x50, 'transient', 'The call was cancelled in the middle.'],
  ['CKR_FUNCTION_NOT_PARALLEL', 0x51, 'bug', noUseOfOurs],
  ['CKR_FUNCTION_NOT_SUPPORTED', 0x54, 'misconfiguration', 'The PKCS#11 library lacks a function that is needed.'],
  ['CKR_KEY_HANDLE_INVALID', 0x60, 'session', 'The handle of the key is no longer valid (CloudHSM: not on every HSM).'],
  ['CKR_KEY_SIZE_RANGE', 0x62, 'misconfiguration', 'The key has a size that the mechanism does not take.'],
  ['CKR_KEY_TYPE_INCONSISTENT', 0x63, 'misconfiguration', 'The key is of another type than the signature needs.'],
  ['CKR_KEY_NOT_NEEDED', 0x64, 'bug', noUseOfOurs],
  ['CKR_KEY_CHANGED', 0x65, 'bug', noUseOfOurs],
  ['CKR_KEY_NEEDED', 0x66, 'bug', noUseOfOurs],
  ['CKR_KEY_INDIGESTIBLE', 0x67, 'bug', noUseOfOurs],
  ['CKR_KEY_FUNCTION_NOT_PERMITTED', 0x68, 'misconfiguration', 'The key may not sign (CKA_SIGN is false).'],
  ['CKR_KEY_NOT_WRAPPABLE', 0x69, 'bug', noUseOfOurs],
  ['CKR_KEY_UNEXTRACTABLE', 0x6a, 'bug', noUseOfOurs],
  [
    'CKR_MECHANISM_INVALID',
    0x70,
    'misconfiguration',
    'The HSM does not know the mechanism, or its FIPS mode forbids it.',
  ],
  ['CKR_MECHANISM_PARAM_INVALID', 0x71, 'misconfiguration', 'The HSM does not take these parameters of the mechanism.'],
  ['CKR_OBJECT_HANDLE_INVALID', 0x82, 'session', 'The handle of the key is no longer valid.'],
  ['CKR_OPERATION_ACTIVE', 0x90, 'session', 'The session is in the middle of another operation.'],
  ['CKR_OPERATION_NOT_INITIALIZED', 0x91, 'session', 'The session has lost the operation that was begun in it.'],
  [
    'CKR_PIN_INCORRECT',
    0xa0,
    'misconfiguration',
    'The PIN is wrong, or the crypto user is unknown; it is not tried again.',
  ],
  ['CKR_PIN_INVALID', 0xa1, 'misconfiguration', 'The PIN has characters that the HSM does not take.'],
  ['CKR_PIN_LEN_RANGE', 0xa2, 'misconfiguration', 'The PIN is too long or too short (CloudHSM: it is user:password).'],
  ['CKR_PIN_EXPIRED', 0xa3, 'misconfiguration', 'The PIN has expired: set a new one and seal it.'],
  ['CKR_PIN_LOCKED', 0xa4, 'misconfiguration', 'The crypto user is locked out; an HSM administrator must unlock it.'],
  ['CKR_SESSION_CLOSED', 0xb0, 'session', 'The session was closed during the call.'],
  ['CKR_SESSION_COUNT', 0xb1, 'transient', 'The HSM has no session left: too many clients are connected.'],
  ['CKR_SESSION_HANDLE_INVALID', 0xb3, 'session', 'The session is gone, as after an idle or frozen time.'],
  ['CKR_SESSION_PARALLEL_NOT_SUPPORTED', 0xb4, 'bug', ourCallWasWrong],
  ['CKR_SESSION_READ_ONLY', 0xb5, 'bug', ourCallWasWrong],
  ['CKR_SESSION_EXISTS', 0xb6, 'bug', noUseOfOurs],
  ['CKR_SESSION_READ_ONLY_EXISTS', 0xb7, 'bug', noUseOfOurs],
  ['CKR_SESSION_READ_WRITE_SO_EXISTS', 0xb8, 'misconfiguration', 'The security officer is logged in to the token.'],
  ['CKR_SIGNATURE_INVALID', 0xc0, 'bug', noUseOfOurs],
  ['CKR_SIGNATURE_LEN_RANGE', 0xc1, 'bug', noUseOfOurs],
  ['CKR_TEMPLATE_INCOMPLETE', 0xd0, 'bug', noUseOfOurs],
  ['CKR_TEMPLATE_INCONSISTENT', 0xd1, 'bug', noUseOfOurs],
  ['CKR_TOKEN_NOT_PRESENT', 0xe0, 'session', 'The token is gone from its slot: the HSM cannot be reached.'],
  ['CKR_TOKEN_NOT_RECOGNIZED', 0xe1, 'misconfiguration', 'The token in the slot is not one that the library knows.'],
  ['CKR_TOKEN_WRITE_PROTECTED', 0xe2, 'misconfiguration', 'The token is write-protected, so it gives no RW session.'],
  ['CKR_UNWRAPPING_KEY_HANDLE_INVALID', 0xf0, 'bug', noUseOfOurs],
  ['CKR_UNWRAPPING_KEY_SIZE_RANGE', 0xf1, 'bug', noUseOfOurs],
  ['CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT', 0xf2, 'bug', noUseOfOurs],
  ['CKR_USER_ALREADY_LOGGED_IN', 0x100, 'session', 'The crypto user is logged in already.'],
  ['CKR_USER_NOT_LOGGED_IN', 0x101, 'session', 'The login is gone.'],
  ['CKR_USER_PIN_NOT_INITIALIZED', 0x102, 'misconfiguration', 'The token has no user PIN yet.'],
  ['CKR_USER_TYPE_INVALID', 0x103, 'bug', ourCallWasWrong],
  ['CKR_USER_ANOTHER_ALREADY_LOGGED_IN', 0x104, 'misconfiguration', 'Another user is logged in from this process.'],
  ['CKR_USER_TOO_MANY_TYPES', 0x105, 'transient', 'Too many users are logged in to the token.'],
  ['CKR_WRAPPED_KEY_INVALID', 0x110, 'bug', noUseOfOurs],
  ['CKR_WRAPPED_KEY_LEN_RANGE', 0x112, 'bug', noUseOfOurs],
  ['CKR_WRAPPING_KEY_HANDLE_INVALID', 0x113, 'bug', noUseOfOurs],
  ['CKR_WRAPPING_KEY_SIZE_RANGE', 0x114, 'bug', noUseOfOurs],
  ['CKR_WRAPPING_KEY_TYPE_INCONSISTENT', 0x115, 'bug', noUseOfOurs],
  ['CKR_RANDOM_SEED_NOT_SUPPORTED', 0x120, 'bug', noUseOfOurs],
  ['CKR_RANDOM_NO_RNG', 0x121, 'misconfiguration', 'The HSM has no random number generator.'],
  ['CKR_DOMAIN_PARAMS_INVALID', 0x130, 'misconfiguration', 'The HSM does not take the parameters of the key.'],
  ['CKR_CURVE_NOT_SUPPORTED', 0x140, 'misconfiguration', 'The HSM does not know the curve of the key.'],
  ['CKR_BUFFER_TOO_SMALL', 0x150, 'bug', ourCallWasWrong],
  ['CKR_SAVED_STATE_INVALID', 0x160, 'bug', noUseOfOurs],
  ['CKR_INFORMATION_SENSITIVE', 0x170, 'bug', noUseOfOurs],
  ['CKR_STATE_UNSAVEABLE', 0x180, 'bug', noUseOfOurs],
  ['CKR_CRYPTOKI_NOT_INITIALIZED', 0x190, 'session', 'The PKCS#11 library has been shut down in this process.'],
  ['CKR_CRYPTOKI_ALREADY_INITIALIZED', 0x191, 'bug', 'The PKCS#11 library was initialised twice.'],
  ['CKR_MUTEX_BAD', 0x1a0, 'bug', noUseOfOurs],
  ['CKR_MUTEX_NOT_LOCKED', 0x1a1, 'bug', noUseOfOurs],
  [
    'CKR_NEW_PIN_MODE',
    0x1b0,
    'misconfiguration',
    'The token asks for a new one-time PIN; only plain PINs can be used.',
  ],
  ['CKR_NEXT_OTP', 0x1b1, 'misconfiguration', 'The token asks for a one-time password; only plain PINs can be used.'],
  ['CKR_EXCEEDED_MAX_ITERATIONS', 0x1b5, 'bug', noUseOfOurs],
  ['CKR_FIPS_SELF_TEST_FAILED', 0x1b6, 'misconfiguration', 'The FIPS self-test of the HSM failed: replace the HSM.'],
  ['CKR_LIBRARY_LOAD_FAILED', 0x1b7, 'misconfiguration', 'The PKCS#11 library could not load a library that it needs.'],
  ['CKR_PIN_TOO_WEAK', 0x1b8, 'misconfiguration', 'The PIN is too weak for the policy of the HSM.'],
  ['CKR_PUBLIC_KEY_INVALID', 0x1b9, 'misconfiguration', 'The HSM does not take the public key.'],
  ['CKR_FUNCTION_REJECTED', 0x200, 'misconfiguration', 'The HSM wants an approval (quorum) for it that was not given.'],
];

/** By number, since that is what a library returns; a binding's own names lag behind. */
const byValue = new Map(
  table.map(([name, value, kind, sentence]): [number, ReturnValue] => [value, { name, value, kind, sentence }]),
);

/** All of them, for whoever wants to check or print the table. */
export const returnValues: readonly ReturnValue[] = [...byValue.values()];

/** Any number has an answer: what the standard does not list is the vendor's, and worth another try. */
export function returnValueOf(value: number): ReturnValue {
  return (
    byValue.get(value) ?? {
      name: `CKR_VENDOR_DEFINED (0x${value.toString(16)})`,
      value,
      kind: 'transient',
      sentence: 'The PKCS#11 library answered with a value of its vendor; its own log or manual says more.',
    }
  );
}

/** Whether another login with the same PIN could lock the user out, so that there must not be one. */
export function refusesPin(returnValue: ReturnValue): boolean {
  return returnValue.name.startsWith('CKR_PIN_') || returnValue.name === 'CKR_USER_PIN_NOT_INITIALIZED';
}

export const codeOfKind: { readonly [Kind in ReturnValueKind]: ErrorCode } = {
  transient: 'SIGNER_UNAVAILABLE',
  session: 'SIGNER_UNAVAILABLE',
  misconfiguration: 'SIGNER_MISCONFIGURED',
  bug: 'INTERNAL',
};
