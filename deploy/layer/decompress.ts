import { spawnSync } from 'node:child_process';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { LayerError } from '../../shared/layer/index.ts';
import type { Decompress } from './rpm.ts';

/** More than Lambda takes of a layer, with what is left out of it: a package that says more is no Client SDK. */
const most = 512 * 1024 * 1024;

/** What Node cannot unpack: the program that can, and the package that has it with each package manager. */
const programs: Readonly<Record<string, readonly [program: string, args: readonly string[], packages: string]>> = {
  xz: ['xz', ['-dc'], 'xz-utils (apt) or xz (dnf, brew)'],
  lzma: ['xz', ['--format=lzma', '-dc'], 'xz-utils (apt) or xz (dnf, brew)'],
  bzip2: ['bzip2', ['-dc'], 'bzip2'],
};

/** With Node where it can, which is what AWS's packages for Amazon Linux 2023 need; else with a program of the system. */
export const decompress: Decompress = (compressor, data) => {
  if (compressor === 'gzip') return gunzipSync(data, { maxOutputLength: most });
  if (compressor === 'zstd') return zstdDecompressSync(data, { maxOutputLength: most });
  const known = programs[compressor];
  if (known === undefined) {
    throw new LayerError(`The package is packed with ${compressor}, which is not known.`, 'Give another build of it.');
  }
  const [program, args, packages] = known;
  const { error, status, stdout, stderr } = spawnSync(program, args, { input: data, maxBuffer: most });
  if (error !== undefined && 'code' in error && error.code === 'ENOENT') {
    throw new LayerError(
      `The package is packed with ${compressor}, and there is no ${program} here.`,
      `Install ${packages}.`,
    );
  }
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} says: ${stderr.toString('utf8').trim()}`);
  return stdout;
};
