/**
 * The PIN of a CloudHSM crypto user, as C_Login takes it: `user:password` (AWS CloudHSM User Guide, "Authenticate to the
 * PKCS #11 library for AWS CloudHSM Client SDK 5"). It is looked at byte by byte: a string could not be overwritten.
 */

const colon = 0x3a;

/** "Maximum length of a user name", "Required password length" (AWS CloudHSM User Guide, "AWS CloudHSM quotas"). */
const maximumUserName = 31;
const minimumPassword = 8;
const maximumPassword = 32;

/** "The only special character permitted is an underscore" (AWS CloudHSM User Guide, "user create"). */
export const isUserName = (text: string): boolean => text.length <= maximumUserName && /^[A-Za-z0-9_]+$/.test(text);

/** "User names are not case sensitive" (AWS CloudHSM User Guide, "Change HSM user passwords using CloudHSM CLI"). */
export const isSamePinUser = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();

/**
 * What keeps it from being a crypto user's PIN: a sentence, which repeats nothing of it. CloudHSM's guide does not say which
 * characters a password may have; what a terminal, a pipe or an editor may have put there unasked is refused.
 */
export function problemOfPin(pin: Uint8Array): string | undefined {
  const end = pin.indexOf(colon);
  if (end < 0) return 'It is no user:password: there is no colon in it.';
  if (!isUserName(textOf(pin.subarray(0, end)))) {
    return `What stands before the colon is no name of a crypto user: 1 to ${maximumUserName} letters, digits and underscores.`;
  }
  const password = pin.subarray(end + 1);
  if (password.some((byte) => byte < 0x20 || byte > 0x7e)) {
    return 'The password has a character that is no printable ASCII, such as the end of a line.';
  }
  if (password.length < minimumPassword || password.length > maximumPassword) {
    return `The password of a crypto user has ${minimumPassword} to ${maximumPassword} characters.`;
  }
  if (password.at(0) === 0x20 || password.at(-1) === 0x20) return 'The password begins or ends with a space.';
  return undefined;
}

/** Of a PIN that has no problem. */
export const pinUserName = (pin: Uint8Array): string => textOf(pin.subarray(0, pin.indexOf(colon)));

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
