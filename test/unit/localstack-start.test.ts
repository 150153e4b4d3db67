import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { claimPort, startLocalStack } from '../../local/localstack/start.ts';

/** A LocalStack whose Python is a shell script, which has no port: another program has it (identity.py). */
describe('a port that was lost between being found free and being listened on', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mintmark-start-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** @param endings its exit codes, one for each start */
  function start(endings: readonly number[], port?: number) {
    const python = join(folder, 'python');
    const next = endings.map((code, index) => `${index + 1}) exit ${code} ;;`).join(' ');
    const script = `#!/bin/sh
echo "$GATEWAY_LISTEN" >> "$0.started"
echo "LocalStack cannot listen"
case "$(wc -l < "$0.started" | tr -d ' ')" in ${next} esac
`;
    writeFileSync(python, script, { mode: 0o755 });
    return startLocalStack({
      installation: { kind: 'installed', python, javaHome: folder, dynamoDbLocalJars: folder },
      region: 'eu-central-1',
      functionEnvironment: {},
      logKeptIn: folder,
      ...(port === undefined ? {} : { port }),
    });
  }
  const started = () => readFileSync(join(folder, 'python.started'), 'utf8').trim().split('\n');

  it('is another one at the second start, where none was asked for', async () => {
    await expect(start([98, 3])).rejects.toThrow(/^LocalStack ended by itself \(exit code 3\)\./);
    expect(started()).toHaveLength(2);
  });

  it('is told when it happens twice', async () => {
    await expect(start([98, 98])).rejects.toThrow(/\(exit code 98\)\. Another program took port \d+ on 127\.0\.0\.1 /);
    expect(started()).toHaveLength(2);
  });

  it('is told at once where it was asked for', async () => {
    const port = await claimPort(0);
    await expect(start([98, 3], port)).rejects.toThrow(`Another program took port ${port} on 127.0.0.1 `);
    expect(started()).toEqual([`127.0.0.1:${port}`]);
  });

  it('is no reason to start again for any other end', async () => {
    await expect(start([3, 98])).rejects.toThrow(/\(exit code 3\)/);
    expect(started()).toHaveLength(1);
  });
});
