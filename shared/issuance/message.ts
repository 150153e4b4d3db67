import * as z from 'zod';
import { MintmarkError } from '../errors.ts';

/** A message's body may be this long, in UTF-8 bytes; a 16 KiB CSR as PEM is under 23 KiB. */
export const maximumMessageBytes = 65_536;

/**
 * A device id names rows, subjects and URIs, so its alphabet is the part that all of them have in common; 64
 * characters is also the upper bound of a commonName (RFC 5280, appendix A.1, ub-common-name).
 */
export const deviceIdPattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;
export const longestDeviceIdLength = 64;

const requestMessage = z.strictObject({
  version: z.literal(1),
  requestId: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/, 'must be 1 to 128 of A-Z a-z 0-9 . _ : -, first a letter or digit'),
  deviceId: z.string().regex(deviceIdPattern, 'must be 1 to 64 of A-Z a-z 0-9 . _ : -, first a letter or digit'),
  profile: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1 to 63 of a-z 0-9 -, first a letter or digit'),
  csr: z.string().max(maximumMessageBytes),
});

/** What a device enqueues. `csr` is PEM or the base64 of DER. */
export type RequestMessage = z.infer<typeof requestMessage>;

/**
 * The message in an SQS body.
 * @throws MintmarkError MESSAGE_TOO_LARGE, MESSAGE_NOT_JSON, MESSAGE_VERSION_UNSUPPORTED, MESSAGE_INVALID
 */
export function readMessage(body: string): RequestMessage {
  const bytes = Buffer.byteLength(body);
  if (bytes > maximumMessageBytes) {
    throw new MintmarkError(
      'MESSAGE_TOO_LARGE',
      `The message has ${bytes} bytes; at most ${maximumMessageBytes} are read.`,
    );
  }
  const value = parseJson(body);
  if (typeof value === 'object' && value !== null && 'version' in value && value.version !== 1) {
    throw new MintmarkError(
      'MESSAGE_VERSION_UNSUPPORTED',
      `The message's version is ${described(value.version)}; only version 1 is read.`,
    );
  }
  const result = requestMessage.safeParse(value);
  if (!result.success)
    throw new MintmarkError('MESSAGE_INVALID', `The message is not as documented: ${problems(result.error, value)}.`);
  if (fieldNames(body) !== Object.keys(result.data).length) {
    throw new MintmarkError('MESSAGE_INVALID', 'The message has a field twice.');
  }
  return result.data;
}

/**
 * How many field names a JSON text has. JSON.parse takes the last of two equal ones, others take the first: a gateway
 * that looks at a message before this must not see another device in it. In JSON only names have a colon behind them.
 */
const fieldNames = (json: string): number => json.match(/"(?:[^"\\]|\\.)*"\s*(?=:)/g)?.length ?? 0;

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // The parser's own message quotes the input, which may be anything; where it failed is not worth that.
    throw new MintmarkError('MESSAGE_NOT_JSON', 'The message body is not JSON.');
  }
}

/** A nested value is not shown: what JSON.parse takes may be nested deeper than JSON.stringify goes. */
const described = (value: unknown): string =>
  typeof value === 'object' && value !== null ? 'no number' : JSON.stringify(value).slice(0, 40);

/** What is wrong, field by field: `csr is missing`, `profile must be text`. At most 500 characters. */
function problems(error: z.ZodError, message: unknown): string {
  return (
    error.issues
      .slice(0, 10)
      .map((issue) => problemOf(issue, message))
      .join('; ')
      .slice(0, 500)
      // A key of the sender's may be quoted: nothing that breaks a line, or that UTF-8 cannot hold, goes on from here.
      .replaceAll(/[\p{Cc}\p{Cs}]/gu, '\ufffd')
  );
}

function problemOf({ code, path, message: said, ...issue }: z.core.$ZodIssue, message: unknown): string {
  const [field] = path;
  if (code === 'unrecognized_keys') {
    const { keys } = issue as Pick<z.core.$ZodIssueUnrecognizedKeys, 'keys'>;
    const named = keys.slice(0, 10).map((key) => JSON.stringify(key.slice(0, 40)));
    return keys.length === 1 ? `it has no field ${named.join('')}` : `it has no fields ${named.join(', ')}`;
  }
  if (field === undefined) return 'it must be an object';
  const name = String(field);
  if (!Object.hasOwn(message as object, name)) return `${name} is missing`;
  if (code === 'invalid_type') return `${name} must be text`;
  return `${name} ${code === 'invalid_format' ? said : `must be at most ${maximumMessageBytes} characters`}`;
}

const ids = z.object({
  deviceId: requestMessage.shape.deviceId.optional().catch(undefined),
  requestId: requestMessage.shape.requestId.optional().catch(undefined),
});

/**
 * The ids in a body that may be anything, as far as they can be read. Nobody has seen whether its sender may speak for that
 * device: for people who look for a message, and for nothing that is decided.
 */
export function statedIds(body: string): {
  readonly deviceId?: string | undefined;
  readonly requestId?: string | undefined;
} {
  try {
    return ids.safeParse(JSON.parse(body)).data ?? {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
