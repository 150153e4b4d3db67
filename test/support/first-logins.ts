import type { OpenIssuersOptions } from '../../shared/issuance/open-issuers.ts';

/** Every PIN has been logged in with before. */
export const provedLogins: Pick<OpenIssuersOptions, 'firstLogins' | 'wait'> = {
  firstLogins: { begin: async () => 'proved', end: async () => undefined },
  wait: async () => undefined,
};
