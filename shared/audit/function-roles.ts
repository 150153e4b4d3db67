import { GetFunctionConfigurationCommand, type LambdaClient } from '@aws-sdk/client-lambda';

/**
 * The ARNs of the roles that these functions have now.
 * @throws the Lambda client's errors; Error for a function without a role, which Lambda has none of
 */
export function readFunctionRoles(
  client: LambdaClient,
  functionNames: readonly string[],
  signal?: AbortSignal,
): Promise<string[]> {
  return Promise.all(
    functionNames.map(async (functionName) => {
      const command = new GetFunctionConfigurationCommand({ FunctionName: functionName });
      const { Role: role } = await client
        .send(command, signal === undefined ? {} : { abortSignal: signal })
        .catch((cause: unknown) => {
          throw new Error(`Asking for the role of ${functionName}`, { cause });
        });
      if (role === undefined) throw new Error(`Lambda says no role of ${functionName}.`);
      return role;
    }),
  );
}
