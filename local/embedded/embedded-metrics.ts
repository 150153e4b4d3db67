import * as z from 'zod';
import type { Metric } from './cloudwatch-service.ts';

const directive = z.object({
  Namespace: z.string(),
  Dimensions: z.array(z.array(z.string())),
  Metrics: z.array(z.object({ Name: z.string(), Unit: z.string().default('None') })),
});
const document = z.looseObject({
  _aws: z.object({ Timestamp: z.number(), CloudWatchMetrics: z.array(directive) }),
});

/**
 * The values that CloudWatch reads out of a line of a function's log, one for each set of dimensions (Amazon CloudWatch
 * user guide, "Specification: Embedded metric format"); none in a line that is no such document. Single values, as the
 * project's functions write them: a list of values is none.
 */
export function metricsIn(line: string): Metric[] {
  if (!line.startsWith('{') || !line.includes('"_aws"')) return [];
  const read = document.safeParse(parseJson(line));
  if (!read.success) return [];
  const { _aws: metadata, ...members } = read.data;
  return metadata.CloudWatchMetrics.flatMap(({ Namespace: namespace, Dimensions, Metrics }) =>
    Dimensions.flatMap((names) => {
      const dimensions = Object.fromEntries(names.map((name) => [name, String(members[name])]));
      return Metrics.flatMap(({ Name: name, Unit: unit }): Metric[] => {
        const value = members[name];
        const timestamp = metadata.Timestamp;
        return typeof value === 'number' ? [{ namespace, name, dimensions, timestamp, unit, value }] : [];
      });
    }),
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A line of a log may be anything.
    return undefined;
  }
}
