import { describe, expect, it } from 'vitest';
import { isSamePinUser, pinUserName, problemOfPin } from '../../shared/signer/crypto-user-pin.ts';

const problem = (pin: string) => problemOfPin(Buffer.from(pin));
const password = 'correct-horse';

describe('the PIN of a crypto user', () => {
  // AWS CloudHSM User Guide, "AWS CloudHSM quotas" and "user create".
  it.each([
    ['a name of 1 and a password of 8', 'u:12345678'],
    ['a name of 31 and a password of 32', `${'u'.repeat(31)}:${'p'.repeat(32)}`],
    ['a colon in the password', 'user:pass:word'],
    ['a space within the password', 'user:pass word'],
    ['an underscore and capitals in the name', `Crypto_User_2:${password}`],
  ])('may have %s', (_, pin) => {
    expect(problem(pin)).toBeUndefined();
  });

  it.each([
    ['nothing', '', 'no colon'],
    ['no colon', password, 'no colon'],
    ['no name', `:${password}`, 'no name of a crypto user'],
    ['a name of 32', `${'u'.repeat(32)}:${password}`, 'no name of a crypto user'],
    ['a hyphen in the name', `crypto-user:${password}`, 'no name of a crypto user'],
    ['a space before the name', ` user:${password}`, 'no name of a crypto user'],
    ['a mark that an editor put first', `\u{feff}user:${password}`, 'no name of a crypto user'],
    ['a password of 7', 'user:1234567', '8 to 32 characters'],
    ['a password of 33', `user:${'p'.repeat(33)}`, '8 to 32 characters'],
    ['the end of a line', `user:${password}\n`, 'no printable ASCII'],
    ['a NUL', `user:${password}\0`, 'no printable ASCII'],
    ['a letter that is not ASCII', 'user:pässword1', 'no printable ASCII'],
    ['a space at the end', `user:${password} `, 'begins or ends with a space'],
    ['a space at the beginning', `user: ${password}`, 'begins or ends with a space'],
  ])('may not have %s, and is not repeated', (_, pin, sentence) => {
    expect(problem(pin)).toContain(sentence);
    if (pin.includes(password)) expect(problem(pin)).not.toContain(password);
  });

  it('names its user', () => {
    expect(pinUserName(Buffer.from('user_2:pass:word'))).toBe('user_2');
  });

  it('is of the same user in capitals', () => {
    expect(isSamePinUser('Crypto_User', 'crypto_user')).toBe(true);
    expect(isSamePinUser('crypto_user', 'crypto_user_2')).toBe(false);
  });
});
