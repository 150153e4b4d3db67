export type { Wait } from './retry-delay.ts';
export { type DeliveredMessage, RetryLater } from './retry-later.ts';
