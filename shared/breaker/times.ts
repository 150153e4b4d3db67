/**
 * The breaker's times, in milliseconds: all of them multiples of one, how often check-signer looks, so that a stage in which
 * time passes faster (a drill's) has all of them shorter by as much.
 */
export interface BreakerTimes {
  /** A breaker without a canary stays open for so long before a few batches try. */
  readonly openWithoutCanary: number;
  /**
   * After so long a probe says nothing any more: longer than the functions that sign may run, which deploy/preconditions.cjs
   * makes sure of.
   */
  readonly probeLasts: number;
  /**
   * A half-open breaker waits for so long for a first batch while its canary signs. What waits in the queues may be other
   * issuers' for ever.
   */
  readonly untriedCloses: number;
  /**
   * Without a change for so long, a batch tries by itself: check-signer does not look, or its canary cannot sign although
   * the CA's key can. An outage of half an hour, which the canary sees too, costs one or two batches that try in vain.
   */
  readonly unlookedAfter: number;
  /**
   * Batches that cannot unseal a PIN open a breaker when none has signed for so long: an environment that has its PIN signs
   * on while the key store is away, and one of its batches in this time says so.
   */
  readonly unsealFailuresOpen: number;
}

/** @param checkSignerSeconds between two looks of check-signer (deploy/parameters.yml): 60 at AWS */
export function breakerTimes(checkSignerSeconds: number): BreakerTimes {
  const looks = (count: number): number => count * checkSignerSeconds * 1000;
  return {
    openWithoutCanary: looks(5),
    probeLasts: looks(1.5),
    untriedCloses: looks(5),
    unlookedAfter: looks(15),
    unsealFailuresOpen: looks(2),
  };
}
