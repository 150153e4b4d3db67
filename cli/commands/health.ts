import { InvokeCommand } from '@aws-sdk/client-lambda';
import * as z from 'zod';
import { table } from '../../shared/terminal/index.ts';
import { breakerFindings } from '../breaker-findings.ts';
import { readBreakers } from '../breakers.ts';
import { defineCommand, type Result } from '../command.ts';
import { UsageError } from '../errors.ts';

/** What functions/check-cluster.ts answers, as far as it is shown: a newer one may say more, and have other severities. */
const answer = z.looseObject({
  findings: z.array(
    z.looseObject({
      rule: z.string(),
      severity: z.string(),
      subject: z.string(),
      observed: z.string(),
      threshold: z.string(),
      sentence: z.string(),
      runbook: z.string(),
    }),
  ),
});

/** How a function fails (AWS Lambda, "Understanding retry behavior"). */
const functionError = z.looseObject({ errorType: z.string().optional(), errorMessage: z.string().optional() });

export const command = defineCommand<object>({
  details: [
    'Invokes the check-cluster function, since only it reaches the HSMs, and reads the breakers: one that is not closed is a',
    'finding, too (mintmark queue status says more). Exit code 1 on a critical finding, or when the function gives no answer:',
    'not knowing is never "fine".',
  ],
  declare: (command) => command,
  run: async (session) => {
    const { stage, checkClusterFunction } = session.target();
    const lambda = await session.clients.lambda();
    const command = new InvokeCommand({ FunctionName: checkClusterFunction, Payload: Buffer.from('{}') });
    const invoked = await lambda.send(command, { abortSignal: session.interrupted }).catch((error: unknown) => {
      throw isBusy(error)
        ? new UsageError('The watch is just looking.', 'Try again in a minute.', { cause: error })
        : new Error(`Invoking ${checkClusterFunction}`, { cause: error });
    });
    const payload = Buffer.from(invoked.Payload ?? []).toString();
    const ofBreakers = breakerFindings(await readBreakers(session, undefined));
    const noAnswer = ({ errorType = 'Error', errorMessage = '' }: z.infer<typeof functionError>): Result => {
      const line = `${checkClusterFunction} gives no answer (${errorType}: ${errorMessage}): read its log.`;
      return {
        exitCode: 1,
        json: { stage, findings: null, breakers: ofBreakers, error: { errorType, errorMessage } },
        lines: [line, ...ofBreakers.map(sentenceOf)],
      };
    };
    if (invoked.FunctionError !== undefined) {
      return noAnswer(parsed(functionError, payload) ?? { errorType: invoked.FunctionError, errorMessage: payload });
    }
    const looked = parsed(answer, payload);
    if (looked === undefined) {
      const errorMessage = `What it answers cannot be read: ${payload.slice(0, 200)}`;
      return noAnswer({ errorType: 'InvalidAnswer', errorMessage });
    }
    const findings = [...looked.findings, ...ofBreakers];
    const warnings = findings.filter(({ severity }) => severity === 'warning').length;
    const critical = findings.length - warnings;
    const rows = findings.map(({ severity, rule, subject, observed, threshold }) => [
      severity,
      rule,
      subject,
      observed,
      threshold,
    ]);
    return {
      exitCode: critical > 0 ? 1 : 0,
      json: { stage, critical, warnings, findings },
      lines: [
        ...(findings.length === 0
          ? []
          : [
              ...table(['SEVERITY', 'RULE', 'SUBJECT', 'OBSERVED', 'THRESHOLD'], rows),
              '',
              ...findings.map(sentenceOf),
              '',
            ]),
        `${critical} critical, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'} in stage ${stage}`,
      ],
    };
  },
});

const sentenceOf = ({ sentence, runbook }: { readonly sentence: string; readonly runbook: string }): string =>
  `${sentence} See ${runbook}.`;

/** undefined for what is no JSON, or not of this shape. */
function parsed<Shape extends z.ZodType>(shape: Shape, text: string): z.infer<Shape> | undefined {
  try {
    return shape.safeParse(JSON.parse(text)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The function's reserved concurrency is one: Lambda turns a second look away (TooManyRequestsException). */
const isBusy = (error: unknown): boolean => error instanceof Error && error.name === 'TooManyRequestsException';
