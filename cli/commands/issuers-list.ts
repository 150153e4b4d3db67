import { IssuerNameRecords } from '../../shared/ledger/index.ts';
import { table } from '../../shared/terminal/index.ts';
import { readBreakers } from '../breakers.ts';
import { defineCommand } from '../command.ts';
import { type DeployedProfilesOptions, declareDeployedProfiles, readDeployedProfiles } from '../deployed-profiles.ts';
import { issuerHead, issuerJson, issuerRow, seeIssuer } from '../issuer-view.ts';
import { readIssuers } from '../issuers.ts';
import { isoTime, shortTime } from '../json.ts';

export const command = defineCommand<DeployedProfilesOptions>({
  details: [
    'All that there have ever been, and the names that profiles call them by. ROLL BY is the last moment at which the',
    "certificates of every profile that leads to it still fit into the issuer's own validity. Exit code 1 when that has passed,",
    'or a name leads to no active issuer, or cannot be read.',
  ],
  declare: declareDeployedProfiles,
  run: async (session, options) => {
    const profiles = readDeployedProfiles(session, options);
    const records = new IssuerNameRecords(await session.clients.dynamoDB(), session.target().tables.issuers);
    const [issuers, { names, unreadable }, read] = await Promise.all([
      readIssuers(session),
      records.list(),
      readBreakers(session, undefined),
    ]);
    const breakers = new Map([...read.records, ...read.unreadable].map((breaker) => [breaker.issuerId, breaker]));
    const seen = issuers.map((issuer) => seeIssuer(issuer, names, profiles, breakers.get(issuer.issuerId)));
    const active = new Set(issuers.filter(({ state }) => state === 'active').map(({ issuerId }) => issuerId));
    const problems = [
      ...unreadable.map(
        ({ problem }) => `${problem} Nobody issues by that name: delete the row, and activate an issuer.`,
      ),
      ...names
        .filter(({ target }) => !active.has(target))
        .map(({ name, target }) => `${name} leads to ${target}, which is no active issuer: mintmark issuers activate.`),
      ...seen
        .filter(({ rollBy }) => rollBy !== undefined && rollBy < session.now())
        .map(({ issuer }) => `${issuer.issuerId} ends before the certificates of a profile would: roll it.`),
    ];
    const nameRows = names.map(({ name, target, previousTarget, activatedAt }) => [
      name,
      target,
      shortTime(activatedAt),
      previousTarget ?? '',
    ]);
    return {
      exitCode: problems.length === 0 ? 0 : 1,
      json: {
        issuers: seen.map(issuerJson),
        names: names.map(({ name, target, previousTarget, activatedAt }) => ({
          name,
          issuerId: target,
          previousIssuerId: previousTarget ?? null,
          activatedAt: isoTime(activatedAt) ?? null,
        })),
        problems,
      },
      lines: [
        ...(seen.length === 0 ? ['There are no issuers.'] : table(issuerHead, seen.map(issuerRow))),
        ...(nameRows.length === 0 ? [] : ['', ...table(['NAME', 'ISSUER', 'SINCE', 'BEFORE'], nameRows)]),
        ...(problems.length === 0 ? [] : ['', ...problems]),
      ],
    };
  },
});
