/**
 * An error as an AWS service answers it. `code` is the modelled shape's name (`__type` on the wire); `httpStatus` is
 * 400 for the caller's faults and 500 for the service's. `message` is absent where AWS sends none
 * (InvalidCiphertextException, UnknownOperationException), and never holds anything secret.
 */
export class AwsError extends Error {
  readonly code: string;
  readonly httpStatus: 400 | 500;
  readonly hasMessage: boolean;

  constructor(code: string, message?: string, httpStatus: 400 | 500 = 400) {
    super(message ?? code);
    this.name = 'AwsError';
    this.code = code;
    this.httpStatus = httpStatus;
    this.hasMessage = message !== undefined;
  }
}
