import { GetFunctionConfigurationCommand, type LambdaClient } from '@aws-sdk/client-lambda';

/** A function, and the role that it has now. */
export interface FunctionRole {
  readonly functionName: string;
  readonly functionArn: string;
  readonly roleArn: string;
}

/**
 * The roles that these functions have now; which they had before, Lambda does not say.
 * @throws the Lambda client's errors; Error for a function without a role, which Lambda has none of
 */
export function readFunctionRoles(
  client: LambdaClient,
  functionNames: readonly string[],
  signal?: AbortSignal,
): Promise<FunctionRole[]> {
  return Promise.all(
    functionNames.map(async (functionName) => {
      const command = new GetFunctionConfigurationCommand({ FunctionName: functionName });
      const { Role: roleArn, FunctionArn: functionArn } = await client
        .send(command, signal === undefined ? {} : { abortSignal: signal })
        .catch((cause: unknown) => {
          throw new Error(`Asking for the role of ${functionName}`, { cause });
        });
      if (roleArn === undefined || functionArn === undefined) {
        throw new Error(`Lambda says no ARN or no role of ${functionName}.`);
      }
      return { functionName, functionArn, roleArn };
    }),
  );
}
