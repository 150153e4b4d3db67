import { IssuerNameRecords } from '../../shared/ledger/index.ts';
import { readBreakers } from '../breakers.ts';
import { defineCommand } from '../command.ts';
import { type DeployedProfilesOptions, declareDeployedProfiles, readDeployedProfiles } from '../deployed-profiles.ts';
import { describeIssuer, issuerJson, seeIssuer } from '../issuer-view.ts';
import { issuerAmong, readIssuers } from '../issuers.ts';

export const command = defineCommand<DeployedProfilesOptions>({
  details: ['Its own certificate too, in PEM. Exit code 1 when that cannot be read.'],
  declare: (command) => declareDeployedProfiles(command.argument('<issuer>', "the issuer's id")),
  run: async (session, options, [issuerId = '']) => {
    const profiles = readDeployedProfiles(session, options);
    const issuer = issuerAmong(await readIssuers(session), issuerId);
    const records = new IssuerNameRecords(await session.clients.dynamoDB(), session.target().tables.issuers);
    const [{ names }, read] = await Promise.all([records.list(), readBreakers(session, issuerId)]);
    const seen = seeIssuer(issuer, names, profiles, [...read.records, ...read.unreadable][0]);
    const pem = seen.certificate?.pem;
    return {
      exitCode: pem === undefined ? 1 : 0,
      json: { issuer: issuerJson(seen), certificate: pem ?? null },
      lines: [...describeIssuer(seen), ...(pem === undefined ? [] : ['', ...pem.trimEnd().split('\n')])],
    };
  },
});
