import { describe, expect, it } from 'vitest';
import { metricsIn } from '../../local/embedded/embedded-metrics.ts';
import { MintmarkError } from '../../shared/errors.ts';
import { measureReconciliation } from '../../shared/issuance/reconcile-metrics.ts';
import type { SignatureCounts } from '../../shared/issuance/signature-counts.ts';
import { signatureLine } from '../../shared/issuance/signature-metrics.ts';
import { embeddedMetrics } from '../../shared/metrics-embedded.ts';

const now = Date.parse('2026-11-22T12:00:00Z');
const issuerId = 'devices';
const made = { issuerId, made: 10, repeated: 2, wrong: 1 };

describe('a line in the embedded metric format', () => {
  it('is the document that the specification asks for, on one line', () => {
    const line = embeddedMetrics(
      'prod',
      [
        { name: 'One', unit: 'Count', value: 1 },
        { name: 'Two', unit: 'Seconds', value: 0.5 },
      ],
      { message: 'what\nhappened' },
      now,
    );
    expect(line).not.toContain('\n');
    expect(JSON.parse(line)).toEqual({
      message: 'what\nhappened',
      timestamp: '2026-11-22T12:00:00.000Z',
      Stage: 'prod',
      One: 1,
      Two: 0.5,
      _aws: {
        Timestamp: now,
        CloudWatchMetrics: [
          {
            Namespace: 'Mintmark/prod',
            Dimensions: [['Stage']],
            Metrics: [
              { Name: 'One', Unit: 'Count' },
              { Name: 'Two', Unit: 'Seconds' },
            ],
          },
        ],
      },
    });
  });

  const common = { namespace: 'Mintmark/prod', timestamp: now, unit: 'Count' };
  const ofStage = { ...common, dimensions: { Stage: 'prod' } };
  const ofIssuer = { ...common, dimensions: { Stage: 'prod', Issuer: 'devices' } };

  it.each<[string, SignatureCounts, readonly object[]]>([
    [
      'signing',
      { issuerId, requested: 11 },
      [
        { ...ofStage, name: 'SignaturesRequested', value: 11 },
        { ...ofIssuer, name: 'SignaturesRequested', value: 11 },
      ],
    ],
    [
      'signed',
      made,
      [
        { ...ofStage, name: 'SignaturesMade', value: 10 },
        { ...ofStage, name: 'SignaturesRepeated', value: 2 },
        { ...ofStage, name: 'SignaturesWrong', value: 1 },
        { ...ofIssuer, name: 'SignaturesMade', value: 10 },
        { ...ofIssuer, name: 'SignaturesRepeated', value: 2 },
      ],
    ],
    ['stored', { issuerId, stored: 7 }, [{ ...ofStage, name: 'CertificatesStored', value: 7 }]],
  ])('of signatures, %s: which issuer, and as metrics of the stage, some of the issuer', (message, counts, metrics) => {
    const line = signatureLine('issue', 'prod', counts, now);
    expect(JSON.parse(line)).toMatchObject({ message, service: 'issue', issuerId });
    expect(metricsIn(line)).toEqual(metrics);
  });
});

describe('the metrics in a line of a log', () => {
  const line = signatureLine('issue', 'prod', made, now);

  it.each([
    ['another line', '2026-11-22T12:00:00Z\tINFO\tsigned'],
    ['another JSON line', JSON.stringify({ level: 'INFO', message: 'issued' })],
    ['one with something in front of it', `INFO ${line}`],
    ['one that is cut', line.slice(0, -1)],
    ['metadata without metrics', JSON.stringify({ _aws: { Timestamp: now } })],
    ['what is not an object', '["_aws"]'],
  ])('are none in %s', (_, text) => {
    expect(metricsIn(text)).toEqual([]);
  });

  it('are those that have a number', () => {
    const document = JSON.parse(line) as Record<string, unknown>;
    expect(metricsIn(JSON.stringify({ ...document, SignaturesMade: 'ten' })).map(({ name }) => name)).toEqual([
      'SignaturesRepeated',
      'SignaturesWrong',
      'SignaturesRepeated',
    ]);
  });
});

describe('what is told of a run of reconcile', () => {
  const id = { deviceId: 'd', requestId: 'r' };

  it('is a gauge and what became of the requests', () => {
    const error = new MintmarkError('SIGNER_PAUSED', 'Not now.');
    const measurements = measureReconciliation({
      requests: [
        { ...id, became: 'finished', serialNumber: '01' },
        { ...id, became: 'finished', serialNumber: '02' },
        { ...id, became: 'abandoned', serialNumber: '03', reason: 'deadline-passed' },
        { ...id, became: 'hindered', error },
        { ...id, became: 'hindered', error },
        { ...id, became: 'hindered', error },
        { ...id, became: 'left' },
        { ...id, became: 'revoked' },
        { ...id, became: 'announced', serialNumber: '04' },
      ],
      overdue: 5,
      isComplete: true,
    });
    expect(measurements).toEqual([
      { name: 'OpenIntentsOverdue', unit: 'Count', value: 5 },
      { name: 'IntentsFinished', unit: 'Count', value: 2 },
      { name: 'IntentsAbandoned', unit: 'Count', value: 1 },
      { name: 'IntentsHindered', unit: 'Count', value: 3 },
    ]);
  });

  it('is told when there was nothing to do, too: silence is an alarm', () => {
    const measurements = measureReconciliation({ requests: [], overdue: 0, isComplete: true });
    expect(measurements.map(({ value }) => value)).toEqual([0, 0, 0, 0]);
  });
});
