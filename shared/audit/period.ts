const second = 1_000;
const minute = 60 * second;
const day = 24 * 60 * minute;

/** The event history of CloudTrail (LookupEvents, AWS CloudTrail API reference). Milliseconds. */
export const history = 90 * day;

/** How long CloudWatch keeps its datapoints ("Metrics retention", Amazon CloudWatch user guide). Milliseconds. */
export const countsHistory = 455 * day;

/**
 * CloudTrail has an event about five minutes after the call on average, and guarantees no time (AWS CloudTrail user guide,
 * "How CloudTrail works"): most are there after three times that, and CloudWatch's values are there sooner.
 */
export const deliveryTime = 15 * minute;

/** How far two machines' clocks may be apart before what they say of one request is in the wrong order. */
export const clockDifference = minute;

/**
 * How long a signature may be made after it was asked for, and before its certificate is stored: all of it is done by one
 * invocation, of which none lasts longer than a minute (deploy/functions.yml); the other minute is for clocks.
 */
export const settlingTime = minute + clockDifference;

/** What is looked at: from the first to before the second. Milliseconds since the epoch. */
export interface Period {
  readonly from: number;
  readonly to: number;
  /** Of the datapoints that CloudWatch still has from then; seconds. */
  readonly granularity: number;
}

/**
 * CloudWatch keeps minutes for 15 days, five minutes for 63 and hours for 455 (Amazon CloudWatch user guide, "Metrics
 * retention"): a period begins and ends between two of its datapoints, so that all that is compared is of the same time.
 *
 * @param since milliseconds since the epoch; taken from the beginning of its datapoint on
 * @param until likewise, to the end of its datapoint; undefined: as late as all of it can be expected to be there
 */
export function periodOf(since: number, until: number | undefined, now: number): Period {
  const age = now - since;
  // A datapoint's worth before it is too late: the question is asked a moment after this.
  const granularity = age < 15 * day - minute ? 60 : age < 63 * day - 5 * minute ? 300 : 3_600;
  const length = granularity * second;
  const to = until === undefined ? Math.floor((now - deliveryTime) / length) : Math.ceil(until / length);
  return { from: Math.floor(since / length) * length, to: to * length, granularity };
}

/** Whether what happened then is looked at. */
export const isWithin = ({ from, to }: Pick<Period, 'from' | 'to'>, time: number): boolean => time >= from && time < to;

/** The period without its ends, across which an event and what was told of it may lie. */
export const settled = ({ from, to }: Period): Pick<Period, 'from' | 'to'> => ({
  from: from + settlingTime,
  to: to - settlingTime,
});

/** The period without its beginning, where certificates may be of signatures before it. */
export const settledFrom = ({ from, to }: Period): Pick<Period, 'from' | 'to'> => ({ from: from + settlingTime, to });
