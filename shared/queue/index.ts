export { RetryLater } from './retry-later.ts';
