import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { readAll, readConfiguration, seconds, text } from '../../shared/configuration.ts';
import { MintmarkError } from '../../shared/errors.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';

const schema = z.object({ TABLE: text, TOPIC_ARN: text, TIMEOUT_SECONDS: seconds, BASE_SECONDS: seconds });
const good = { TABLE: 'table', TOPIC_ARN: 'arn', TIMEOUT_SECONDS: '30', BASE_SECONDS: '1' };

const refused = (environment: NodeJS.ProcessEnv): string => {
  const { code, message } = refusalOf(() => readConfiguration(schema, environment));
  expect(code).toBe('CONFIGURATION_INVALID');
  return message;
};

describe('readConfiguration', () => {
  it('reads text and counts, and leaves the rest of the environment alone', () => {
    const read = readConfiguration(schema, { ...good, PATH: '/bin' });
    expect(read).toEqual({ TABLE: 'table', TOPIC_ARN: 'arn', TIMEOUT_SECONDS: 30, BASE_SECONDS: 1 });
  });

  it('lists every variable that is not set, empty ones included, at once', () => {
    expect(refused({ TABLE: '', BASE_SECONDS: '' })).toBe(
      'The environment is not complete: TABLE is not set; TOPIC_ARN is not set; TIMEOUT_SECONDS is not set; BASE_SECONDS is not set.',
    );
  });

  it.each(['ten', '0', '-1', '1.5', '1209601', 'Infinity', '1e9', ' ', '30s'])(
    'refuses %j for seconds, and does not repeat it',
    (value) => {
      const message = refused({ ...good, TIMEOUT_SECONDS: value });
      expect(message).toMatch(/TIMEOUT_SECONDS: /);
      expect(message).not.toContain('BASE_SECONDS');
    },
  );

  it('repeats no value', () => {
    const secret = 'crypto-user:hunter22';
    expect(refused({ TABLE: secret, TIMEOUT_SECONDS: secret, BASE_SECONDS: `9999999${secret}` })).not.toContain(
      'hunter22',
    );
  });
});

describe('readAll', () => {
  it('answers with what each reader read', () => {
    expect(readAll({ one: () => 1, two: () => 'two' })).toEqual({ one: 1, two: 'two' });
  });

  it('runs every reader, and reports every failure at once', () => {
    const { code, message } = refusalOf(() =>
      readAll({
        environment: () => readConfiguration(schema, {}),
        fine: () => 1,
        profiles: () => {
          throw new MintmarkError('CONFIGURATION_INVALID', 'a.yaml: wrong.');
        },
        folder: () => {
          throw new Error('ENOENT');
        },
      }),
    );
    expect(code).toBe('CONFIGURATION_INVALID');
    for (const part of ['TABLE is not set', 'a.yaml: wrong.', 'ENOENT']) expect(message).toContain(part);
  });
});
