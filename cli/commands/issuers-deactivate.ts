import { IssuerNameRecords } from '../../shared/ledger/index.ts';
import { defineCommand, type Result } from '../command.ts';
import { type DeployedProfilesOptions, declareDeployedProfiles, readDeployedProfiles } from '../deployed-profiles.ts';
import { UsageError } from '../errors.ts';
import { changedMeanwhile, rowOf } from '../issuer-names.ts';
import { readIssuers } from '../issuers.ts';

export const command = defineCommand<DeployedProfilesOptions>({
  details: [
    'Takes back what `mintmark issuers activate --name` wrote for a name that no profile uses, or none any more; the issuers stay',
    'as they are. Refused while a profile has the name, and where no profiles can be read: its requests would find no issuer, or',
    'the one of that id.',
  ],
  declare: (command) => declareDeployedProfiles(command.argument('<name>', 'as `mintmark issuers list` shows it')),
  run: async (session, options, [name = '']) => {
    const profiles = readDeployedProfiles(session, options);
    const records = new IssuerNameRecords(await session.clients.dynamoDB(), session.target().tables.issuers);
    const row = await rowOf(records, name);
    if (row === undefined) {
      const isIssuer = (await readIssuers(session)).some(({ issuerId }) => issuerId === name);
      return answer('unchanged', name, undefined, `${name} is no name${isIssuer ? ', but the id of an issuer' : ''}.`);
    }
    if (profiles === undefined) {
      throw new UsageError(
        `No profiles are read, and one of them may have the name ${name}.`,
        'Name the folder of those that are deployed with --profiles.',
      );
    }
    const naming = profiles.filter(({ issuer }) => issuer === name).map((profile) => profile.name);
    if (naming.length > 0) {
      throw new UsageError(
        `The profiles ${naming.join(', ')} issue by the name ${name}.`,
        'Let it lead to another issuer with mintmark issuers activate, or deploy these profiles with another name first.',
      );
    }
    if (!(await records.remove(row))) throw changedMeanwhile(name);
    return answer('deactivated', name, row.target, `${name} leads nowhere any more; before, to ${row.target}.`);
  },
});

const answer = (
  change: 'deactivated' | 'unchanged',
  name: string,
  previous: string | undefined,
  sentence: string,
): Result => ({ exitCode: 0, json: { change, name, previousIssuerId: previous ?? null }, lines: [sentence] });
