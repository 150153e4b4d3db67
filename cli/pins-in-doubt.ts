import type { BreakerRecord } from '../shared/breaker/index.ts';

/**
 * Of the breakers whose PIN is in doubt, all but one of each cluster, with the id of the one that is tried before them: one
 * that is being tried already, else the first by id. The issuers of a cluster log in as one crypto user, and the HSM counts
 * that user's wrong logins, whichever issuer they were for. Pure.
 * @param clusters the cluster of each issuer; those that name none count as in one
 */
export function laterTries(
  records: readonly BreakerRecord[],
  clusters: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const inDoubt = records
    .filter(({ isPinDoubtful }) => isPinDoubtful)
    .toSorted(
      (one, other) => Number(isTried(other)) - Number(isTried(one)) || (one.issuerId < other.issuerId ? -1 : 1),
    );
  const firsts = new Map<string | undefined, string>();
  const later = new Map<string, string>();
  for (const record of inDoubt) {
    const { issuerId } = record;
    const cluster = clusters.get(issuerId);
    const first = firsts.get(cluster);
    if (first === undefined) firsts.set(cluster, issuerId);
    else if (!isTried(record)) later.set(issuerId, first);
  }
  return later;
}

const isTried = ({ state }: BreakerRecord): boolean => state === 'half-open';
