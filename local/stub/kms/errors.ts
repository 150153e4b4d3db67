import { AwsError } from '../aws-error.ts';

export const validation = 'ValidationException';

export function validationError(message: string): AwsError {
  return new AwsError(validation, message);
}

export function unsupported(message: string): AwsError {
  return new AwsError('UnsupportedOperationException', message);
}
