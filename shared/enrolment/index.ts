export { type Answer, type Awaited, waitForAnswers } from './answers.ts';
export { readCsrFile } from './csr-file.ts';
export { type EnrolmentRequest, isFleetName, messageBody, sendRequests } from './send.ts';
