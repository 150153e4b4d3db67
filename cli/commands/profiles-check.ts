import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  certificatePem,
  deviceIdPattern,
  keyKindsOf,
  type ProfileProblem,
  type Specimen,
  specimenOf,
  specimenProblems,
} from '../../shared/issuance/index.ts';
import { writeWhole } from '../../shared/output-folder.ts';
import { defineCommand } from '../command.ts';
import { UsageError } from '../errors.ts';
import { certificatesInPem, prepareFolder, refuseTarget } from '../output-files.ts';
import { readNamedProfiles } from '../profile-files.ts';
import { problemJson, problemLine, specimenJson, specimenLines } from '../profile-view.ts';
import { notEmpty } from '../values.ts';

interface Options {
  readonly device: string;
  readonly out?: string;
}

export const command = defineCommand<Options>({
  details: [
    'A path is a file or a folder of *.yaml; none means the folder profiles. Every problem of every file is told with its',
    'line and column (exit code 2). Of each good profile a certificate is made with each kind of key that it allows, as for a',
    'device whose CSR asks for no name, by the code that issues and held to the rules that hold there; the first is shown. The',
    'keys are thrown away. It asks AWS nothing.',
  ],
  isOffline: true,
  declare: (command) =>
    command
      .argument('[path...]', 'profiles, or folders of them')
      .option('--device <id>', 'the device id in the certificates that are shown', notEmpty, 'device-0001')
      .option('--out <folder>', 'write each certificate to <folder>/<profile>.pem, for openssl and the like', notEmpty),
  run: async (session, { device, out }, given) => {
    if (!deviceIdPattern.test(device)) {
      throw new UsageError(
        `${device} is no device id.`,
        'It is 1 to 64 of A-Z a-z 0-9 . _ : -, first a letter or digit.',
      );
    }
    const read = readNamedProfiles(given.length === 0 ? ['profiles'] : given);
    if (out !== undefined) prepareFolder(out);
    const shown: ShownProfile[] = [];
    const problems: ProfileProblem[] = [...read.problems];
    for (const one of read.profiles) {
      const found = specimenProblems(one, device, session.now(), randomBytes);
      problems.push(...found);
      const [key] = keyKindsOf(one.profile);
      if (found.length > 0 || key === undefined) continue;
      shown.push({ file: one.file, specimen: specimenOf(one.profile, device, key, session.now(), randomBytes) });
    }
    if (out !== undefined) writeCertificates(out, shown);
    const lines = shown.flatMap(({ file, specimen }) => [...specimenLines(file, specimen), '']);
    return {
      exitCode: problems.length === 0 ? 0 : 2,
      json: {
        profiles: shown.map(({ file, specimen }) => specimenJson(file, specimen)),
        problems: problems.map(problemJson),
      },
      lines: [
        ...lines,
        ...problems.map(problemLine),
        `${count(shown.length, 'profile')} good, ${count(problems.length, 'problem')}.`,
      ],
    };
  },
});

interface ShownProfile {
  readonly file: string;
  readonly specimen: Specimen;
}

/** @throws UsageError before anything is written, where one of them has no place */
function writeCertificates(folder: string, shown: readonly ShownProfile[]): void {
  const files = new Map<string, ShownProfile>();
  for (const one of shown) {
    const path = join(folder, `${one.specimen.profile.name}.pem`);
    const twin = files.get(path);
    if (twin !== undefined) {
      throw new UsageError(
        `${twin.file} and ${one.file} are profiles of one name, and would be written into one file.`,
        'Check them one at a time, or without --out.',
      );
    }
    refuseTarget(path, certificatesInPem, 'folder');
    files.set(path, one);
  }
  for (const [path, { specimen }] of files) writeWhole(path, certificatePem(specimen.certificate));
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
