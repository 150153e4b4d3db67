import { defineCommand } from '../command.ts';
import { changeKeys, compromisedSince } from '../key-changes.ts';
import { keysArgument } from '../named-keys.ts';

export const command = defineCommand({
  details: [
    'Takes a block back that was a mistake. A request that was answered with KEY_COMPROMISED may be sent again,',
    'under the same request id. What was said of the key stays in the table. Exit code 1 when one was never blocked.',
  ],
  declare: (command) => command.argument(...keysArgument),
  run: (session, _, args) =>
    changeKeys(
      session,
      args,
      'unblocked',
      (records, spkiSha256) => records.unblock(spkiSha256, session.now()),
      ({ outcome, compromise }) =>
        outcome === 'changed'
          ? `may be certified again; it was blocked${compromisedSince(compromise)}`
          : 'is unblocked already.',
      'It holds for every request that is looked at from now on.',
    ),
});
