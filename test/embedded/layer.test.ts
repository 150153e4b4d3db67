import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { CloudHSMV2Client, DescribeClustersCommand } from '@aws-sdk/client-cloudhsm-v2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readZip, unzippedLimit, writeZip } from '../../shared/layer/index.ts';
import { TestCloud } from '../support/embedded-cloud.ts';
import { isLinux, makeCustomerCa, makeLayer, makeSdk, otherArchitecture, ownArchitecture } from '../support/layer.ts';
import { MintmarkCommand } from '../support/mintmark-command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const folder = temporaryFolder('layer-publish');

let cloud: TestCloud;
beforeAll(async () => {
  cloud = await TestCloud.start();
  file('first.zip', makeLayer());
  file('second.zip', makeLayer({ 'cloudhsm/etc/customerCA.crt': Buffer.from('another') }));
});
afterAll(() => cloud.stop());

const mintmark = new MintmarkCommand(() => ({ HOME: folder, ...cloud.local.cloud.environment }));

function file(name: string, content: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const first = join(folder, 'first.zip');
const second = join(folder, 'second.zip');
const arn = (name: string, version: number): string =>
  `arn:aws:lambda:eu-central-1:000000000000:layer:${name}:${version}`;

describe.runIf(isLinux)('mintmark layer publish', () => {
  it('gives the ARN that deploy/parameters.yml takes, and publishes nothing twice', async () => {
    const name = ['--name', 'doors'];
    expect(await mintmark.json('layer', 'publish', first, ...name)).toMatchObject({
      code: 0,
      value: { change: 'published', layerArn: arn('doors', 1), architecture: ownArchitecture },
    });
    expect(await mintmark.json('layer', 'publish', first, ...name)).toMatchObject({
      code: 0,
      value: { change: 'unchanged', layerArn: arn('doors', 1) },
    });
    expect(await mintmark.json('layer', 'publish', second, ...name)).toMatchObject({
      value: { change: 'published', layerArn: arn('doors', 2) },
    });
    // It is the newest that is compared with: whoever goes back to the first deploys that one's ARN, or this.
    expect(await mintmark.json('layer', 'publish', first, ...name)).toMatchObject({
      value: { change: 'published', layerArn: arn('doors', 3) },
    });
  });

  it('prints lines that are the parameters', async () => {
    const { code, stdout } = await mintmark.run(['layer', 'publish', first, '--name', 'lines']);
    expect(code).toBe(0);
    const lines = stdout.slice(stdout.indexOf('local:'));
    expect(parse(lines)).toEqual({ local: { layerArn: arn('lines', 1), architecture: ownArchitecture } });
    expect(stdout).toContain('HSMs          10.0.1.5, 10.0.2.7');
  });

  it('with --dry-run says what would be published, and publishes nothing', async () => {
    const dry = await mintmark.run(['layer', 'publish', first, '--name', 'dry', '--dry-run']);
    expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing is published') });
    expect(await mintmark.json('layer', 'publish', first, '--name', 'dry')).toMatchObject({
      value: { change: 'published', layerArn: arn('dry', 1) },
    });
  });

  it.each([
    ['a file that is not there', () => join(folder, 'absent.zip'), 'absent.zip cannot be read (ENOENT).'],
    ['a folder', () => folder, 'cannot be read (EISDIR).'],
    ['no zip', () => file('text.zip', Buffer.from('hello')), 'text.zip is not published. It cannot be read.'],
    [
      'a zip of something else',
      () => file('other.zip', writeZip([{ path: 'nodejs/x.js', content: Buffer.from('x'), isExecutable: false }])),
      'It is no layer that npm run layer made',
    ],
    [
      'one that says another architecture than it has',
      () => {
        const lying = readZip(makeLayer(), unzippedLimit).map((one) =>
          one.path === 'mintmark-layer.json'
            ? {
                ...one,
                content: Buffer.from(Buffer.from(one.content).toString().replace(ownArchitecture, otherArchitecture)),
              }
            : one,
        );
        return file('lying.zip', writeZip(lying));
      },
      `and the layer is for ${otherArchitecture}.`,
    ],
    [
      'one that is too large for a call',
      () => file('large.zip', makeLayer({ 'cloudhsm/lib/large': incompressible(51 * 1024 * 1024) })),
      'aws lambda publish-layer-version --layer-name cloudhsm --content S3Bucket=',
    ],
  ])('refuses %s', async (_, made, sentence) => {
    const { code, stdout, stderr } = await mintmark.run(['layer', 'publish', made()]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(sentence);
  });

  it('refuses a name that Lambda would', async () => {
    const { code, stderr } = await mintmark.run(['layer', 'publish', first, '--name', 'cloud hsm']);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('1 to 140 letters') });
  });
});

describe.runIf(isLinux)('npm run layer --cluster-id', () => {
  const program = fileURLToPath(new URL('../../deploy/layer/main.ts', import.meta.url));
  /** Beside this process, in which nothing may stand still for it. */
  const layer = async (clusterId: string, over: NodeJS.ProcessEnv = {}) => {
    const sdk = file('sdk.rpm', makeSdk());
    const ca = ['--ca', makeCustomerCa(folder).certificate, '--cluster-id', clusterId];
    const args = ['--sdk', sdk, ...ca, '--architecture', ownArchitecture, '--out', join(folder, 'layer.zip')];
    const env = { ...process.env, ...cloud.local.cloud.environment, ...over };
    const child = spawn(process.execPath, [program, ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    return { code: code as number, stderr };
  };

  it("refuses a customerCA.crt that did not sign the cluster's certificate", async () => {
    const client = new CloudHSMV2Client({
      region: 'eu-central-1',
      endpoint: cloud.local.cloud.environment['AWS_ENDPOINT_URL'] ?? '',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    });
    const { Clusters: clusters = [] } = await client.send(new DescribeClustersCommand({}));
    const refused = await layer(clusters[0]?.ClusterId ?? '');
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('did not sign that of the cluster') });
  });

  it('says when there is no such cluster, or no way to ask', async () => {
    const absent = await layer('cluster-abcdefghijk');
    expect(absent).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('There is no cluster cluster-abcdefghijk'),
    });
    // Port 9, discard: nobody listens.
    const nowhere = { AWS_ENDPOINT_URL: 'http://127.0.0.1:9', AWS_ENDPOINT_URL_CLOUDHSM_V2: 'http://127.0.0.1:9' };
    const deaf = await layer('cluster-abcdefghijk', nowhere);
    expect(deaf).toMatchObject({ code: 2, stderr: expect.stringContaining('or give addresses with --hsm-ips') });
  });
});

/** Bytes that no zip makes smaller, the same each time (xorshift32). */
function incompressible(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let at = 0; at + 4 <= length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state, at);
  }
  return bytes;
}
