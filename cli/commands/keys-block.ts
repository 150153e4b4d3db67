import { defineCommand } from '../command.ts';
import { changeKeys, compromisedSince } from '../key-changes.ts';
import { keysArgument } from '../named-keys.ts';
import { notEmpty } from '../values.ts';

interface Options {
  readonly reason: string;
}

export const command = defineCommand<Options>({
  details: [
    'For keys whose private part others have, or can compute. Every request with such a key is answered with KEY_COMPROMISED',
    'while it is blocked, and an open intent with it is abandoned; certificates that were issued stay good until they end or are revoked.',
    '`mintmark relint` finds them: `mintmark keys show` knows the device of a key only where a profile has keys.reuse: refused.',
    'A private key is read for its public part, which is hashed; neither is stored or shown. Of a file with a chain the CA',
    'certificates are passed over. Nothing is written unless every argument can be read. A key that is blocked already stays',
    'so, with its time and reason.',
  ],
  declare: (command) =>
    command
      .argument(...keysArgument)
      .requiredOption('--reason <text>', 'why; kept in the table, and told to no sender', notEmpty),
  run: (session, { reason }, args) =>
    changeKeys(
      session,
      args,
      'blocked',
      (records, spkiSha256) => records.block(spkiSha256, reason, session.now()),
      ({ outcome, compromise }) =>
        outcome === 'changed' ? 'is blocked.' : `is blocked already${compromisedSince(compromise)}`,
      'It holds for every request that is looked at from now on. Certificates that were issued stay good: mintmark relint finds every one with a blocked key (key-not-compromised).',
    ),
});
