import { randomUUID } from 'node:crypto';
import {
  CreateRoleCommand,
  CreateUserCommand,
  DeleteRoleCommand,
  EntityAlreadyExistsException,
  GetRoleCommand,
  GetUserCommand,
  IAMClient,
  NoSuchEntityException,
} from '@aws-sdk/client-iam';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failureClasses } from '../../shared/errors.ts';
import { type FailureRecord, FailureRecords } from '../../shared/ledger/failure-records.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { TestCloud } from '../support/embedded-cloud.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { MintmarkCommand } from '../support/mintmark-command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const key = generateEcKey('P-256');
const home = temporaryFolder('senders');
const account = '000000000000';

let cloud: TestCloud;
let iam: IAMClient;
beforeAll(async () => {
  cloud = await TestCloud.start();
  const { endpoint, environment } = cloud.local.cloud;
  const credentials = { accessKeyId: environment.AWS_ACCESS_KEY_ID ?? '', secretAccessKey: 'local' };
  iam = new IAMClient({ endpoint, region: environment.AWS_REGION ?? '', credentials });
});
afterAll(async () => {
  iam?.destroy();
  await cloud?.stop();
});

const mintmark = new MintmarkCommand(() => ({ HOME: home, ...cloud.local.cloud.environment }));
const { run, json } = { run: mintmark.run.bind(mintmark), json: mintmark.json.bind(mintmark) };

async function newRole(name: string, path = '/'): Promise<{ readonly arn: string; readonly id: string }> {
  const role = { RoleName: name, Path: path, AssumeRolePolicyDocument: '{}' };
  const { Role: made } = await iam.send(new CreateRoleCommand(role));
  return { arn: made?.Arn ?? '', id: made?.RoleId ?? '' };
}

async function newRequest(fleet?: string) {
  const deviceId = `device-${randomUUID().slice(0, 8)}`;
  const device = { deviceId, state: 'active', ...(fleet === undefined ? {} : { fleet }) } as const;
  await cloud.local.devices.register(device);
  return { deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) };
}

/** Sends as a session of the role, or as the user, with this id. @returns how it ended */
async function sendAs(principalId: string, request: Awaited<ReturnType<typeof newRequest>>) {
  const client = cloud.sender(principalId);
  try {
    return await cloud.ended(await cloud.request(request, client));
  } finally {
    client.destroy();
  }
}

/** The failure of the message that this one was redriven as. */
async function redriveOf(messageId: string): Promise<FailureRecord | undefined> {
  const days = [0, 86_400_000].map((ago) => new Date(Date.now() - ago).toISOString().slice(0, 10));
  const table = cloud.local.cloud.resources['FailuresTable']?.ref ?? '';
  for await (const { failure } of new FailureRecords(cloud.local.clients.dynamoDB, table).find(failureClasses, days)) {
    if (failure.originalMessageId === messageId) return failure;
  }
  return undefined;
}

describe("IAM's GetRole and GetUser", () => {
  it('say path, ARN and id of what was made, which is another when it is made again', async () => {
    const first = await newRole('again', '/a/b/');
    expect(first).toEqual({ arn: `arn:aws:iam::${account}:role/a/b/again`, id: expect.stringMatching(/^AROA\w{17}$/) });
    const { Role: found } = await iam.send(new GetRoleCommand({ RoleName: 'again' }));
    expect(found).toMatchObject({ RoleName: 'again', Path: '/a/b/', Arn: first.arn, RoleId: first.id });
    expect(found?.CreateDate).toBeInstanceOf(Date);
    await expect(newRole('again')).rejects.toThrow(EntityAlreadyExistsException);
    await iam.send(new DeleteRoleCommand({ RoleName: 'again' }));
    await expect(iam.send(new GetRoleCommand({ RoleName: 'again' }))).rejects.toThrow(NoSuchEntityException);
    expect((await newRole('again', '/a/b/')).id).not.toBe(first.id);
  });

  it('say it of users', async () => {
    const { User: made } = await iam.send(new CreateUserCommand({ UserName: 'somebody' }));
    expect(made?.UserId).toMatch(/^AIDA\w{17}$/);
    const { User: found } = await iam.send(new GetUserCommand({ UserName: 'somebody' }));
    expect(found?.UserId).toBe(made?.UserId);
    await expect(iam.send(new GetUserCommand({ UserName: 'nobody' }))).rejects.toMatchObject({
      name: 'NoSuchEntityException',
      message: 'The user with name nobody cannot be found.',
    });
  });
});

describe('a role that is registered for a fleet', () => {
  it("enrols that fleet's devices and no others, and the row shows who it was", async () => {
    const { arn, id } = await newRole('doors-gateway', '/fleets/');
    const added = await json('senders', 'add', arn, '--fleet', 'doors', '--all-profiles', '--note', 'the north');
    expect(added).toMatchObject({
      code: 0,
      value: {
        change: 'added',
        changes: [],
        sender: { principalId: id, arn, fleets: ['doors'], profiles: '*', problem: null, note: 'the north' },
      },
    });
    const own = await newRequest('doors');
    expect(await sendAs(id, own)).toMatchObject({ message: 'issued' });
    const shown = await run(['certificates', 'show', '--device', own.deviceId]);
    expect(shown.stdout).toMatch(new RegExp(`^sender +${id}$`, 'm'));

    const other = await newRequest('gates');
    const refused = await sendAs(id, other);
    expect(refused).toMatchObject({
      code: 'SENDER_NOT_ALLOWED',
      detail: `The sender ${id} is not registered for the fleet gates of the device ${other.deviceId}.`,
    });
    expect(await cloud.row(other)).toBeUndefined();
    // As SQS attested it, and what is done about it.
    const failure = await cloud.failure(refused.messageId);
    expect(failure.sender).toBe(`${id}:local`);
    const explained = await run(['failures', 'show', refused.messageId]);
    expect(explained.stdout).toContain('mintmark senders add');

    // Whoever is registered for all redrives it, and the first sender counts.
    expect(await run(['failures', 'redrive', refused.messageId])).toMatchObject({ code: 0 });
    const again = await cloud.until(() => redriveOf(refused.messageId), 'the redriven message to fail');
    expect(again).toMatchObject({ code: 'SENDER_NOT_ALLOWED', sender: `${id}:local`, resentBy: 'LOCALOPERATOR' });
    expect(await cloud.row(other)).toBeUndefined();

    // By the id as the failure has it, with the session.
    expect(
      await json('senders', 'add', failure.sender, '--fleet', 'gates', '--fleet', 'doors', '--all-profiles'),
    ).toEqual({
      code: 0,
      value: expect.objectContaining({
        change: 'changed',
        changes: [{ what: 'fleets', from: 'doors', to: 'doors, gates' }],
        sender: expect.objectContaining({ principalId: id, arn, fleets: ['doors', 'gates'], note: 'the north' }),
      }),
    });
  });

  it('is named by a session of it, too, and adding again changes nothing', async () => {
    const { arn, id } = await newRole('session-gateway', '/fleets/');
    const session = `arn:aws:sts::${account}:assumed-role/session-gateway/i-0123`;
    const args = ['senders', 'add', session, '--all-fleets', '--profile', 'device-tls'];
    const first = await run(args);
    expect(first).toMatchObject({ code: 0 });
    expect(first.stderr).toContain(`one of the role ${arn}`);
    expect((await json(...args)).value).toMatchObject({
      change: 'unchanged',
      sender: { principalId: id, arn, fleets: '*', profiles: ['device-tls'] },
    });
    expect(await json('senders', 'show', session)).toMatchObject({
      code: 0,
      value: { senders: [{ principalId: id, identity: { state: 'current' } }] },
    });
    // Also a device that is in no fleet.
    expect(await sendAs(id, await newRequest())).toMatchObject({ message: 'issued' });
    expect(await json('senders', 'remove', session)).toMatchObject({
      code: 0,
      value: { removed: { principalId: id } },
    });
    expect(await json('senders', 'remove', session)).toEqual({ code: 1, value: { removed: null } });
  });

  it('and is deleted and made again is another sender: show says so, and add names the old row', async () => {
    const first = await newRole('rebuilt');
    const grants = ['--fleet', 'doors', '--all-profiles'];
    expect(await run(['senders', 'add', first.arn, ...grants])).toMatchObject({ code: 0 });
    await iam.send(new DeleteRoleCommand({ RoleName: 'rebuilt' }));
    expect(await json('senders', 'show', first.id)).toMatchObject({
      code: 1,
      value: { senders: [{ identity: { state: 'gone' } }] },
    });
    const second = await newRole('rebuilt');
    expect(await json('senders', 'show', first.arn)).toMatchObject({
      code: 1,
      value: { senders: [{ principalId: first.id, identity: { state: 'replaced', presentId: second.id } }] },
    });
    const added = await run(['senders', 'add', second.arn, ...grants]);
    expect(added).toMatchObject({ code: 0 });
    expect(added.stderr).toContain(`mintmark senders remove ${first.id}`);
    const both = await run(['senders', 'remove', second.arn]);
    expect(both).toMatchObject({ code: 2 });
    expect(both.stderr).toContain(first.id);
    expect(await run(['senders', 'remove', first.id])).toMatchObject({ code: 0 });
    expect(await json('senders', 'show', second.arn)).toMatchObject({ code: 0 });
  });
});

describe('mintmark senders', () => {
  it('has whoever uses the local cloud, by the id that SQS attests', async () => {
    const { principalId, arn } = cloud.local.cloud.sender;
    expect(principalId).toBe(cloud.local.cloud.environment.AWS_ACCESS_KEY_ID);
    expect(await json('senders', 'show', arn)).toMatchObject({
      code: 0,
      value: { senders: [{ principalId, fleets: '*', profiles: '*', identity: { state: 'current' } }] },
    });
  });

  it('lists who may enrol a fleet, those registered for all among them, and a page at a time', async () => {
    const ids = ['AROALISTDOORS', 'AROALISTGATES'];
    await run(['senders', 'add', 'AROALISTDOORS', '--fleet', 'list-doors', '--all-profiles']);
    await run(['senders', 'add', 'AROALISTGATES', '--fleet', 'list-gates', '--profile', 'gate-tls']);
    const idsIn = ({ value }: { readonly value: unknown }): string[] =>
      (value as { senders: { principalId: string }[] }).senders.map(({ principalId }) => principalId);
    const { principalId: all } = cloud.local.cloud.sender;
    const doors = idsIn(await json('senders', 'list', '--fleet', 'list-doors'));
    expect(doors).toEqual(expect.arrayContaining([all, 'AROALISTDOORS']));
    expect(doors).not.toContain('AROALISTGATES');
    expect(idsIn(await json('senders', 'list', '--profile', 'device-tls'))).not.toContain('AROALISTGATES');
    const everyone = idsIn(await json('senders', 'list'));
    expect(everyone).toEqual(expect.arrayContaining(ids));
    const paged: string[] = [];
    let cursor: string | null = null;
    do {
      const page = await json('senders', 'list', '--limit', '2', ...(cursor === null ? [] : ['--cursor', cursor]));
      paged.push(...idsIn(page));
      ({ cursor } = page.value as { cursor: string | null });
    } while (cursor !== null);
    expect(paged).toEqual(everyone);
  });

  it('add takes nothing that is not said, or that it does not know, and writes nothing then', async () => {
    const [all, every] = ['--all-fleets', '--all-profiles'];
    const refusals: readonly (readonly [args: readonly string[], said: string])[] = [
      [['AROAX', every], 'for which fleets'],
      [['AROAX', all], 'for which profiles'],
      [['AROAX', all, '--fleet', 'x', every], 'exclude each other'],
      [['AROAX', '--fleet', '*', every], '--all-fleets'],
      [['AROAX', '--fleet', 'a b', every], 'no spaces'],
      [['AROAX', all, '--profile', 'Device'], 'small letters'],
      [[all, every], "missing required argument 'sender'"],
      [['AKIAX', all, every], 'access key'],
      [[`arn:aws:iam::${account}:role/missing`, all, every], 'aws iam get-role --role-name missing'],
      [[`arn:aws:iam::${account}:user/missing`, all, every], 'aws iam get-user --user-name missing'],
      [
        ['arn:aws:iam::123456789012:user/operator', all, every],
        `is arn:aws:iam::${account}:user/operator, and not arn:aws:iam::123456789012:user/operator`,
      ],
    ];
    const before = await json('senders', 'list', '--limit', '1000');
    const ends = await Promise.all(refusals.map(([args]) => run(['senders', 'add', ...args])));
    expect(ends.map(({ code, stdout }) => ({ code, stdout }))).toEqual(refusals.map(() => ({ code: 2, stdout: '' })));
    for (const [index, [, said]] of refusals.entries())
      expect(ends[index]?.stderr.toLowerCase()).toContain(said.toLowerCase());
    expect(await json('senders', 'list', '--limit', '1000')).toEqual(before);
  });

  it('says of an id that IAM does not give that AWS attests none such', async () => {
    const ended = await run(['senders', 'add', 'LOCALGATEWAY', '--all-fleets', '--all-profiles']);
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stderr).toContain('AWS attests no such sender');
  });

  it('shows nothing where nothing is registered', async () => {
    expect(await json('senders', 'show', 'AROANOBODY')).toEqual({ code: 1, value: { senders: [] } });
    expect(await json('senders', 'remove', 'AROANOBODY')).toEqual({ code: 1, value: { removed: null } });
  });
});
