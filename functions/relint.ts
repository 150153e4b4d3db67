import { Logger } from '@aws-lambda-powertools/logger';
import type { Context } from 'aws-lambda';
import * as z from 'zod';
import { makeCloudWatchClient, makeDynamoDBClient } from '../shared/aws.ts';
import { readAll, readConfiguration, text } from '../shared/configuration.ts';
import {
  measureRelint,
  type Relinted,
  type RelintRequirements,
  RelintTally,
  readProfiles,
  relint,
  relintIssuers,
} from '../shared/issuance/index.ts';
import {
  CompromisedKeys,
  type IssuanceRecord,
  IssuanceSample,
  RevokedSerials,
  readIssuerCertificates,
} from '../shared/ledger/index.ts';
import { putMetrics } from '../shared/metrics.ts';

/**
 * Every night: holds a sample of what was issued to the rules of today, which may be stricter than those of the day when it
 * was issued. What the rules are is in shared/issuance/relint.ts; here it is only wired.
 */

const logger = new Logger({ serviceName: 'relint' });
const { configuration, profiles } = readAll({
  configuration: () =>
    readConfiguration(
      z.object({
        ISSUANCE_TABLE: text,
        REVOCATIONS_TABLE: text,
        KEYS_TABLE: text,
        ISSUERS_TABLE: text,
        STAGE: text,
        RELINT_ROWS: z.coerce.number().int().min(1).max(1_000_000),
      }),
      process.env,
    ),
  profiles: () => readProfiles(new URL('./profiles/', import.meta.url)),
});
const dynamoDB = makeDynamoDBClient();
const cloudWatch = makeCloudWatchClient();
const sample = new IssuanceSample(dynamoDB, configuration.ISSUANCE_TABLE);
const compromisedKeys = new CompromisedKeys(dynamoDB, configuration.KEYS_TABLE);
const revokedSerials = new RevokedSerials(dynamoDB, configuration.REVOCATIONS_TABLE);

/** Rows that are judged together; the run ends between two such batches. */
const rowsAtATime = 100;

/** What a run keeps for its last batch and for telling what it found (ms). */
const reserve = 15_000;

/** How a run went; what is wrong with each certificate is in the log. */
interface Answer {
  readonly rows: number;
  readonly checked: number;
  readonly broken: number;
  /** False: time ran out, or the segment held more than twice as many rows as were meant. */
  readonly isComplete: boolean;
}

export async function handler(_event: unknown, context: Context): Promise<Answer> {
  const deadline = Date.now() + context.getRemainingTimeInMillis() - reserve;
  const segment = await sample.draw(configuration.RELINT_ROWS, Math.random());
  const requirements = await readRequirements();
  const tally = new RelintTally();
  const most = 2 * configuration.RELINT_ROWS;
  let isInTime = true;
  for await (const records of sample.read(segment, most)) {
    isInTime = await relintPage(records, requirements, tally, deadline);
    if (!isInTime) break;
  }
  const { rows, checked, broken, withoutProfile, passedOver } = tally;
  const answer = { rows, checked, broken, isComplete: isInTime && rows < most };
  logger.info('relinted', { ...answer, ...segment, withoutProfile, passedOver });
  await putMetrics(cloudWatch, configuration.STAGE, measureRelint(tally), Date.now());
  return answer;
}

async function readRequirements(): Promise<RelintRequirements> {
  const { issuers, unusable } = relintIssuers(await readIssuerCertificates(dynamoDB, configuration.ISSUERS_TABLE));
  for (const { issuerId, problem } of unusable) logger.error('issuer', { issuerId, detail: problem });
  return {
    issuers,
    profiles,
    compromisedAmong: (spkiSha256s) => compromisedKeys.among(spkiSha256s),
    isRevoked: (serial) => revokedSerials.isRevoked(serial),
    withExpired: false,
    now: Date.now,
  };
}

/** @returns whether there was time for all of it */
async function relintPage(
  records: readonly IssuanceRecord[],
  requirements: RelintRequirements,
  tally: RelintTally,
  deadline: number,
): Promise<boolean> {
  for (let start = 0; start < records.length; start += rowsAtATime) {
    if (Date.now() >= deadline) return false;
    for (const one of await relint(records.slice(start, start + rowsAtATime), requirements)) {
      tally.add(one);
      report(one);
    }
  }
  return true;
}

function report(relinted: Relinted): void {
  if ('passedOver' in relinted || relinted.broken.length === 0) return;
  const { deviceId, requestId, serialNumber, issuerId } = relinted.record;
  const rules = relinted.broken.map(({ name, source }) => `${name} (${source})`);
  logger.warn('broken', { deviceId, requestId, serialNumber, issuerId, rules });
}
