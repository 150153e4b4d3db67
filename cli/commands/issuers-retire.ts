import { IssuanceRecords, IssuerNameRecords, Issuers } from '../../shared/ledger/index.ts';
import { defineCommand, type Result } from '../command.ts';
import { type DeployedProfilesOptions, declareDeployedProfiles, readDeployedProfiles } from '../deployed-profiles.ts';
import { issuerAmong, readIssuers } from '../issuers.ts';
import { reasonInIntents, reasonsInNames } from '../retirement.ts';

interface Options extends DeployedProfilesOptions {
  readonly force?: true;
  readonly undo?: true;
}

export const command = defineCommand<Options>({
  details: [
    'It signs no certificate any more, within a minute. What it signed stays good, and its key has to stay: the CRLs of its',
    'certificates are signed with it until the last one has ended. Refused, with exit code 1, while a name leads to it or did two',
    'minutes ago, a profile names its id, or intents are open that it is to sign; --force passes all of that over: those requests',
    'wait then, and are given up in the end.',
  ],
  declare: (command) =>
    declareDeployedProfiles(
      command
        .argument('<issuer>', "the issuer's id")
        .option('--force', 'whatever still needs it')
        .option('--undo', 'let a retired one sign again, where a name leads to it'),
    ),
  run: async (session, options, [issuerId = '']) => {
    const dynamoDB = await session.clients.dynamoDB();
    const { tables } = session.target();
    const [issuers, names] = [new Issuers(dynamoDB, tables.issuers), new IssuerNameRecords(dynamoDB, tables.issuers)];
    const { state } = issuerAmong(await readIssuers(session), issuerId);
    if (options.undo === true) {
      const isActive = await issuers.reinstate(issuerId);
      return answer(issuerId, isActive ? 'reinstated' : 'unchanged', [], isActive ? 'is active again.' : 'is active.');
    }
    if (state !== 'active') return answer(issuerId, 'unchanged', [], 'is retired already.');
    const profiles = readDeployedProfiles(session, options);
    const reasons = async () => reasonsInNames(issuerId, (await names.list()).names, profiles, session.now());
    if (options.force !== true) {
      const intents = new IssuanceRecords(dynamoDB, tables.issuance);
      const found = [...(await reasons()), ...(await reasonInIntents(issuerId, intents))];
      if (found.length > 0) return answer(issuerId, 'refused', found, 'is not retired:');
    }
    const isRetired = await issuers.retire(issuerId, session.now());
    if (!isRetired) return answer(issuerId, 'unchanged', [], 'is retired already.');
    // Whoever activates writes the name before reading the issuer (issuers-activate.ts): of two at the same moment at least
    // one sees the other.
    const since = options.force === true ? [] : await reasons();
    if (since.length > 0) {
      await issuers.reinstate(issuerId);
      return answer(issuerId, 'refused', since, 'is not retired: that changed at the same moment.');
    }
    return answer(issuerId, 'retired', [], 'is retired. Keep its key: its CRLs are signed with it.');
  },
});

function answer(
  issuerId: string,
  change: 'retired' | 'reinstated' | 'unchanged' | 'refused',
  reasons: readonly string[],
  sentence: string,
): Result {
  return {
    exitCode: change === 'refused' ? 1 : 0,
    json: { change, issuerId, reasons },
    lines: [`${issuerId} ${sentence}`, ...reasons.map((reason) => `  ${reason}`)],
  };
}
