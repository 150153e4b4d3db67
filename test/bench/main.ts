/** `npm run bench -- core|signer [--json]`: the figures of docs/performance.md, again. */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { batchSize, benchCore, type CoreFigures, milliseconds, rounds } from './core.ts';
import type { Spread } from './measure.ts';
import { benchSigner, type SignerBench, signerBench } from './signer.ts';
import type { SignerFigures } from './signer-worker.ts';

const usage = 'Usage: npm run bench -- core|signer [--json]';

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
  return table(head, rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
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

const ofPkcs11 = ({ latency, sessions }: SignerFigures): string[] => [
  `pkcs11, ${sessions} session${sessions === 1 ? '' : 's'}`,
  String(latency),
];

/** A row for each signer and latency, a column for each size of batch. */
function showSigner({ figures, thread }: SignerBench): string {
  const head = ['SIGNER', 'MS MORE', ...signerBench.batches.map((batch) => `BY ${batch}`)];
  const rows = Map.groupBy(figures, (figure) =>
    (figure.signer === 'awskms' ? ['awskms', String(figure.latency)] : ofPkcs11(figure)).join('|'),
  );
  const rates = table(
    head,
    [...rows].map(([name, of]) => [...name.split('|'), ...of.map(({ signatures }) => whole(signatures))]),
  );
  const costs = table(
    ['BATCH OF', 'IN THE WORKER, US', 'IN LINE, US'],
    thread.map(({ batch, inWorker, inLine }) => [String(batch), whole(inWorker), whole(inLine)]),
  );
  return `${rates}\n\n${costs}`;
}

async function run(): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({ options: { json: { type: 'boolean', default: false } }, allowPositionals: true });
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
    return 2;
  }
  const [bench, ...others] = parsed.positionals;
  if (others.length > 0 || (bench !== 'core' && bench !== 'signer')) {
    console.error(usage);
    return 2;
  }
  const machine = `${cpus()[0]?.model ?? 'an unknown processor'}, ${availableParallelism()} cores, Node ${process.versions.node}`;
  const onProgress = (what: string) => process.stderr.isTTY && process.stderr.write(`\r${what}\x1b[K`);
  if (bench === 'signer') {
    const signer = await benchSigner(onProgress);
    const { rounds: signerRounds } = signerBench;
    if (parsed.values.json) console.log(JSON.stringify({ machine, ...signerBench, ...signer }, null, 2));
    else console.log(`${machine}; median (minimum to maximum) of ${signerRounds} rounds\n\n${showSigner(signer)}`);
    return 0;
  }
  const figures = await benchCore([1, 2], onProgress);
  if (parsed.values.json)
    console.log(JSON.stringify({ machine, batchSize, rounds, milliseconds, core: figures }, null, 2));
  else console.log(`${machine}; median (minimum to maximum) of ${rounds} rounds\n\n${show(figures)}`);
  return 0;
}

process.exitCode = await run().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  return 1;
});
