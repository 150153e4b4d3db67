/** `npm run bench -- core [--json]`: the figures of docs/performance.md, again. */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { batchSize, benchCore, type CoreFigures, milliseconds, rounds } from './core.ts';
import type { Spread } from './measure.ts';

const usage = 'Usage: npm run bench -- core [--json]';

const whole = ({ median, minimum, maximum }: Spread): string =>
  `${Math.round(median)} (${Math.round(minimum)} to ${Math.round(maximum)})`;
const percent = ({ median, minimum, maximum }: Spread): string =>
  `${(median * 100).toFixed(0)} % (${(minimum * 100).toFixed(0)} to ${(maximum * 100).toFixed(0)})`;

function show(figures: readonly CoreFigures[]): string {
  const head = ['WORKERS', 'VERIFY/S', 'SIGN/S', 'B', 'CERTIFICATES/S', 'OF B', "WITH AWS'S CLIENTS"];
  const rows = figures.map(
    ({ workers, verifications, signatures, bound, certificates, ratio, certificatesWithClients }) => [
      String(workers),
      whole(verifications),
      whole(signatures),
      whole(bound),
      whole(certificates),
      percent(ratio),
      whole(certificatesWithClients),
    ],
  );
  const widths = head.map((title, column) => Math.max(...[head, ...rows].map((row) => (row[column] ?? title).length)));
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

async function run(): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({ options: { json: { type: 'boolean', default: false } }, allowPositionals: true });
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
    return 2;
  }
  if (parsed.positionals.length !== 1 || parsed.positionals[0] !== 'core') {
    console.error(usage);
    return 2;
  }
  const machine = `${cpus()[0]?.model ?? 'an unknown processor'}, ${availableParallelism()} cores, Node ${process.versions.node}`;
  const figures = await benchCore([1, 2], (what) => process.stderr.isTTY && process.stderr.write(`\r${what} `));
  if (parsed.values.json)
    console.log(JSON.stringify({ machine, batchSize, rounds, milliseconds, core: figures }, null, 2));
  else console.log(`${machine}; median (minimum to maximum) of ${rounds} rounds\n\n${show(figures)}`);
  return 0;
}

process.exitCode = await run().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  return 1;
});
