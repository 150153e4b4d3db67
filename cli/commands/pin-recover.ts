import { pinUserName, problemOfPin } from '../../shared/signer/index.ts';
import { openBreakGlass } from '../break-glass.ts';
import { readBreakGlassFile } from '../break-glass-files.ts';
import { defineCommand } from '../command.ts';
import { UsageError } from '../errors.ts';
import { factLines } from '../facts.ts';
import { isoTime } from '../json.ts';

interface Options {
  readonly stdout?: true;
  readonly show?: true;
}

export const command = defineCommand<Options>({
  details: [
    'It reads these files and asks nobody. Name the copy and as many shares as it takes, in any order. Without --stdout it',
    'says whether they open it, and shows no PIN: so the copy can be tried once in a while. With --stdout the PIN, and nothing else,',
    'goes into a pipe, as to `mintmark pin seal --issuer devices --yes`; to a terminal only with --show besides.',
  ],
  isOffline: true,
  declare: (command) =>
    command
      .argument('<files...>', 'the encrypted copy, and shares of it')
      .option('--stdout', 'write the PIN to stdout, for a pipe')
      .option('--show', 'with --stdout: also to a terminal, where everybody who looks on sees it'),
  run: async (session, options, files) => {
    const isWritten = options.stdout === true;
    if (isWritten && session.isJson) {
      throw new UsageError('With --stdout there is nothing on stdout but the PIN.', 'Leave --json or --stdout out.');
    }
    if (isWritten && session.stdout.isTTY && options.show !== true) {
      throw new UsageError('The PIN would be on this terminal.', 'Pipe it to `mintmark pin seal`, or add --show.');
    }
    const { facts, fingerprint, pin } = await openBreakGlass(files.map(readBreakGlassFile));
    try {
      if (problemOfPin(pin) !== undefined || pinUserName(pin) !== facts.userName) {
        throw new UsageError('What the copy holds is no PIN of the user that it names.', 'Report it as a defect.');
      }
      const told = factLines([
        ['crypto user', facts.userName],
        ['issuer', facts.issuer],
        ['stage', facts.stage],
        ['cluster', facts.clusterId],
        ['made', isoTime(facts.madeAt)],
        ['shares', `${facts.threshold} of ${facts.shares}`],
        ['fingerprint', fingerprint],
      ]);
      if (isWritten) {
        for (const line of told) session.note(line);
        await write(session.stdout, pin);
        return { exitCode: 0, written: true };
      }
      return {
        exitCode: 0,
        json: {
          isOpened: true,
          userName: facts.userName,
          issuer: facts.issuer,
          stage: facts.stage,
          clusterId: facts.clusterId,
          madeAt: isoTime(facts.madeAt),
          shares: facts.shares,
          threshold: facts.threshold,
          fingerprint,
        },
        lines: [...told, '', 'These shares open the copy. The PIN was not shown.'],
      };
    } finally {
      pin.fill(0);
    }
  },
});

/** Written, or as good as: what is overwritten afterwards is in nobody's queue any more. */
function write(stdout: NodeJS.WriteStream, pin: Uint8Array): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  stdout.write(pin, (error) => (error ? reject(error) : resolve()));
  return promise;
}
