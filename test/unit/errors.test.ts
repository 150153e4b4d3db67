import { describe, expect, it } from 'vitest';
import {
  asMintmarkError,
  type ErrorCode,
  errorKinds,
  failureClasses,
  failureClassOf,
  MintmarkError,
} from '../../shared/errors.ts';
import { outcomeOf } from '../../shared/issuance/settle.ts';
import { storeError } from '../../shared/ledger/store-error.ts';

const codes = Object.keys(errorKinds) as ErrorCode[];
const kindOf = (code: ErrorCode): { disposition: string; failureClass?: string; cure: string } => errorKinds[code];

describe('every code', () => {
  it.each(codes)('%s says what to do, and is filed where it ends', (code) => {
    const { disposition, failureClass, cure } = kindOf(code);
    expect(cure).toMatch(/^[A-Z].*\.$/);
    expect(disposition.startsWith('reject')).toBe(failureClass === undefined);
    expect(failureClasses).toContain(failureClassOf(code));
    const error = new MintmarkError(code, 'Something.');
    expect(error).toMatchObject({ code, disposition, cure, message: 'Something.', name: 'MintmarkError' });
  });

  it.each(codes)('%s that nobody has answered for is failed or tried again, never lost', (code) => {
    const { disposition } = kindOf(code);
    const outcome = outcomeOf(new MintmarkError(code, 'Something.'));
    if (disposition === 'fail') expect(outcome).toEqual({ kind: 'failed', code, detail: 'Something.' });
    else expect(outcome).toMatchObject({ kind: 'retry', error: { code: disposition === 'retry' ? code : 'INTERNAL' } });
  });
});

describe('asMintmarkError', () => {
  it('hands on one of ours, and takes everything else for a defect', () => {
    const ours = new MintmarkError('KEY_TOO_SMALL', 'Small.');
    expect(asMintmarkError(ours)).toBe(ours);
    const theirs = new TypeError('x is not a function');
    expect(asMintmarkError(theirs)).toMatchObject({ code: 'INTERNAL', message: 'x is not a function', cause: theirs });
    expect(asMintmarkError('text')).toMatchObject({ code: 'INTERNAL', message: 'text' });
    expect(asMintmarkError(undefined)).toMatchObject({ code: 'INTERNAL' });
  });
});

describe('storeError', () => {
  const named = (name: string): Error => Object.assign(new Error('Why.'), { name });

  it.each(['AccessDeniedException', 'ResourceNotFoundException', 'ValidationException', 'NotFoundException'])(
    '%s is refused',
    (name) => {
      expect(storeError(named(name), 'Reading a table')).toMatchObject({
        code: 'STORE_REFUSED',
        message: `Reading a table: ${name}: Why.`,
      });
    },
  );

  it.each([
    'ProvisionedThroughputExceededException',
    'ThrottlingException',
    'InternalServerError',
    'TimeoutError',
    'RequestLimitExceeded',
  ])('%s is unavailable', (name) => {
    expect(storeError(named(name), 'Reading a table').code).toBe('STORE_UNAVAILABLE');
  });

  it('takes anything thrown', () => {
    expect(storeError('text', 'Reading')).toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: 'Reading: unknown error: text',
    });
  });
});
