import type { BreakerChange } from '../breaker/index.ts';
import type { MintmarkError } from '../errors.ts';

/** The log of a function that signs, as far as it is written here: each line has a message and what else it says. */
interface Log {
  info(message: string, line: Readonly<Record<string, unknown>>): void;
  warn(message: string, line: Readonly<Record<string, unknown>>): void;
  error(message: string, line: Readonly<Record<string, unknown>>): void;
}

/** The environment signs on with the PIN before; one that starts now cannot. */
export const logNewerPinError = (log: Log, issuerId: string, error: MintmarkError): void =>
  log.warn("The PIN in an issuer's row does not open its signer; the one before does.", { issuerId, error });

/** The check-signer function tells everybody else: the change is in the record. */
export function logBreakerChange(log: Log, { from, to }: BreakerChange): void {
  const { issuerId, state, held, reason, detail } = to;
  const line = { issuerId, from: from.state, to: state, held, reason, detail };
  if (state === 'open') log.error('breaker', line);
  else log.info('breaker', line);
}
