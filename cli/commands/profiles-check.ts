import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { MintmarkError } from '../../shared/errors.ts';
import {
  certificatePem,
  deviceIdPattern,
  type ProfileProblem,
  type Specimen,
  specimenOf,
} from '../../shared/issuance/index.ts';
import { prepareOutputFolder, writeWhole } from '../../shared/output-folder.ts';
import { defineCommand } from '../command.ts';
import { UsageError } from '../errors.ts';
import { type ProfileFile, readNamedProfiles } from '../profile-files.ts';
import { problemJson, problemLine, specimenJson, specimenLines } from '../profile-view.ts';
import { notEmpty } from '../values.ts';

interface Options {
  readonly device: string;
  readonly out?: string;
}

export const command = defineCommand<Options>({
  details: [
    'A path is a file or a folder of *.yaml; none means the folder profiles. Every problem of every file is told with its',
    'line and column (exit code 2). Of each good profile the certificate is shown that a device gets whose CSR asks for no',
    'name: it is made by the code that issues, held to the rules that hold there, and signed with a key that is thrown away.',
    'It asks AWS nothing.',
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
    if (out !== undefined) prepareOutputFolder(out);
    const shown: { readonly file: string; readonly specimen: Specimen }[] = [];
    const problems: ProfileProblem[] = [...read.problems];
    for (const one of read.profiles) {
      const specimen = trySpecimen(one, device, session.now());
      if ('message' in specimen) problems.push(specimen);
      else shown.push({ file: one.file, specimen });
    }
    if (out !== undefined) {
      for (const { specimen } of shown) {
        writeWhole(join(out, `${specimen.profile.name}.pem`), certificatePem(specimen.certificate));
      }
    }
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

/** A profile may be right and have no certificate for some device id: where a name of it cannot be made of that. */
function trySpecimen({ file, profile }: ProfileFile, device: string, now: number): Specimen | ProfileProblem {
  try {
    return specimenOf(profile, device, now, randomBytes);
  } catch (error) {
    if (error instanceof MintmarkError) return { file, message: `no certificate for ${device}: ${error.message}` };
    throw error;
  }
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
