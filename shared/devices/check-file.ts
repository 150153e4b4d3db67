import { type FileFormat, type FileProblem, registrationsIn } from './registration-file.ts';
import { SeenDevices } from './seen-devices.ts';

/** What was found out about a file. */
export interface CheckedFile {
  /** Lines that register a device. */
  readonly devices: number;
  /** In the order of the lines; the first of them where there are very many. */
  readonly problems: readonly FileProblem[];
  readonly problemCount: number;
}

/** So many problems are kept; who has more mends these first. */
const keptProblems = 1_000;

/** Reads a whole file, so that nothing is written of one that is wrong somewhere. */
export async function checkFile(chunks: AsyncIterable<Uint8Array>, format: FileFormat): Promise<CheckedFile> {
  const problems: FileProblem[] = [];
  const seen = new SeenDevices();
  let [problemCount, devices] = [0, 0];
  const find = (...found: readonly FileProblem[]): void => {
    problemCount += found.length;
    problems.push(...found.slice(0, keptProblems - problems.length));
  };
  for await (const entry of registrationsIn(chunks, format)) {
    const { line } = entry;
    if ('problems' in entry) {
      find(...entry.problems);
      continue;
    }
    devices += 1;
    const { deviceId } = entry.registration;
    const before = seen.see(deviceId, line);
    if (before !== undefined) {
      find({
        line,
        field: 'deviceId',
        problem: `${deviceId} is on line ${before} already; expected: each device once.`,
      });
    }
  }
  if (devices === 0 && problemCount === 0) find({ line: 1, problem: 'The file names no device.' });
  return { devices, problems, problemCount };
}
