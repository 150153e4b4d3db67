import type { BreakerRecord } from '../shared/breaker/index.ts';
import { adviceOn, adviceOnUnreadable, breakerSection, type ReadBreakers } from './breakers.ts';
import { shortTime } from './json.ts';

/** In the form of the watch's findings (functions/check-cluster.ts), which knows nothing of breakers. */
export interface BreakerFinding {
  readonly rule: 'breaker';
  readonly severity: 'critical' | 'warning';
  /** The issuer's id. */
  readonly subject: string;
  readonly observed: string;
  readonly threshold: string;
  readonly sentence: string;
  readonly runbook: string;
}

/**
 * A finding for each breaker that is not closed. A warning is one that is being tried, or that an operator holds, who knows;
 * every other one, one whose PIN is in doubt, whatever became of it since, and one that cannot be read, is critical.
 */
export function breakerFindings({
  records,
  unreadable,
  inKms,
}: Pick<ReadBreakers, 'records' | 'unreadable' | 'inKms'>): BreakerFinding[] {
  const common = { rule: 'breaker', threshold: 'closed', runbook: breakerSection } as const;
  return [
    ...records
      .filter(({ state }) => state !== 'closed')
      .map((record) => ({
        ...common,
        severity: severityOf(record),
        subject: record.issuerId,
        observed: [record.state, record.held && 'held', record.isPinDoubtful && 'PIN in doubt']
          .filter(Boolean)
          .join(', '),
        sentence: sentenceOf(record, adviceOn(record, inKms.has(record.issuerId))),
      })),
    ...unreadable.map((one) => ({
      ...common,
      severity: 'critical' as const,
      subject: one.issuerId,
      observed: 'unreadable',
      sentence: adviceOnUnreadable(one),
    })),
  ];
}

const severityOf = ({ state, held, reason, isPinDoubtful }: BreakerRecord): 'critical' | 'warning' =>
  !isPinDoubtful && (state === 'half-open' || (held && reason === 'OPERATOR')) ? 'warning' : 'critical';

function sentenceOf({ openedAt, reason, detail }: BreakerRecord, advice = ''): string {
  const since = openedAt === undefined ? '' : ` since ${shortTime(openedAt)}`;
  const why = [reason, detail].filter(Boolean).join(', ').replace(/\.$/, '');
  return `Requests have waited${since}${why === '' ? '' : ` (${why})`}. ${advice} Look: mintmark queue status.`;
}
