import type { Token } from './token.ts';

/** What an operation needs from outside the state. */
export interface Context {
  readonly region: string;
  readonly accountId: string;
  /** Milliseconds since the epoch, the stub's clock offset included. */
  readonly now: number;
  readonly randomBytes: (length: number) => Buffer;
  readonly token: Token;
  /** Whether a custom key store takes signing keys, which AWS's do not. */
  readonly allowAsymmetricKeysInCustomKeyStores: boolean;
}
