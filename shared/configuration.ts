import * as z from 'zod';
import { MintmarkError } from './errors.ts';

/**
 * From text, as environment variables are. At most 13 days: a queue forgets its messages after 14, and nothing may be
 * forgotten that has no answer yet.
 */
export const seconds = z.coerce.number().int().min(1).max(1_123_200);

/**
 * How many digests a process has an HSM sign at a time. Each keeps one of libuv's 16 threads (UV_THREADPOOL_SIZE in
 * deploy/functions.yml) for as long as the HSM takes, and an HSM that hangs keeps all of them: at least four are left, as many as
 * Node.js has by itself, or no host name is resolved meanwhile.
 */
export const pkcs11Sessions = z.coerce.number().int().min(1).max(12);

export const text = z.string().min(1);

/**
 * A function's configuration from its environment. An empty variable counts as missing.
 * @throws MintmarkError CONFIGURATION_INVALID that lists every variable that is missing or wrong, at once; no values
 */
export function readConfiguration<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  environment: NodeJS.ProcessEnv,
): z.infer<z.ZodObject<Shape>> {
  const result = schema.safeParse(environment);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => {
    const name = path.join('.');
    return environment[name] === undefined || environment[name] === '' ? `${name} is not set` : `${name}: ${message}`;
  });
  throw new MintmarkError('CONFIGURATION_INVALID', `The environment is not complete: ${problems.join('; ')}.`);
}

/** Runs every reader, so that one cold start reports what is wrong with all of them. */
export function readAll<Readers extends Record<string, () => unknown>>(
  readers: Readers,
): { readonly [Name in keyof Readers]: ReturnType<Readers[Name]> } {
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [name, read] of Object.entries(readers)) {
    try {
      values[name] = read();
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  if (problems.length > 0) throw new MintmarkError('CONFIGURATION_INVALID', problems.join(' '));
  return values as { readonly [Name in keyof Readers]: ReturnType<Readers[Name]> };
}
