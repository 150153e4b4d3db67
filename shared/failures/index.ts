export { paceOf } from './pace.ts';
export { type Reason, reasonAgainst } from './plan.ts';
export { type Redrive, redrive } from './redrive.ts';
export { deadLetterSenderOf, senderOf } from './redriven-message.ts';
