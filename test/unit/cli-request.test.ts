import { linkSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { describe, expect, it } from 'vitest';
import { chainsOf, prepareCertificateFiles, writeCertificate } from '../../cli/certificate-files.ts';
import { readRequests } from '../../cli/enrolment-files.ts';
import { UsageError } from '../../cli/errors.ts';
import { explain } from '../../cli/explain.ts';
import { requestJson, requestLines, type SentFile } from '../../cli/request-view.ts';
import { type Answer, type Awaited, type Tables, waitForAnswers } from '../../shared/enrolment/answers.ts';
import { sendRequests } from '../../shared/enrolment/send.ts';
import { MintmarkError } from '../../shared/errors.ts';
import { certificatePem } from '../../shared/issuance/certificate.ts';
import type { FailureRecord } from '../../shared/ledger/failure-records.ts';
import type { IssuanceRecord } from '../../shared/ledger/issuance-records.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const key = generateEcKey('P-256');
const folder = temporaryFolder('cli-request');
let count = 0;

/** A new folder with these files. */
function folderWith(files: Readonly<Record<string, string>>): string {
  const path = join(folder, String(count++));
  mkdirSync(path);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

const csr = makePemCsr(key, 'door-7');
const { root, issuer } = makeIssuingCa({ notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') });
const ca = { root, issuing: issuer.certificate };
const pem = certificatePem(ca.issuing);

it('files of which some are no CSR are all kept, with what is wrong of each in a line of its own', () => {
  const made = folderWith({ 'door-7.csr': csr, 'a.csr': key, 'b.csr': 'hello', 'door 9.csr': csr });
  const files = ['door-7.csr', 'a.csr', 'b.csr', 'door 9.csr', 'none.csr'].map((name) => join(made, name));
  const problems = [
    { file: files[1], problem: expect.stringContaining('private key'), cure: expect.any(String) },
    { file: files[2], problem: expect.any(String), cure: expect.any(String) },
    { file: files[3], problem: expect.stringContaining('deviceId'), cure: expect.any(String) },
    { file: files[4], problem: 'There is no such file.', cure: expect.any(String) },
  ];
  const all = expect.objectContaining({
    message: 'Nothing was sent: 4 of 5 files are in the way of all.',
    problems,
  });
  expect(() => readRequests(files, { profile: 'device-tls' })).toThrow(all);
  const thrown = (() => {
    try {
      return readRequests(files.slice(3, 4), { profile: 'device-tls' });
    } catch (error) {
      return explain(error, {});
    }
  })();
  expect(thrown).toEqual({
    message: expect.stringMatching(/^Nothing was sent\. .*door 9\.csr: /),
    cure: expect.any(String),
  });
});

describe('where certificates are written to', () => {
  const profile = 'device-tls';
  /** What is said of writing the certificates of these CSRs into a folder. */
  function refusal(out: string, files: readonly string[]): string {
    try {
      prepareCertificateFiles(out, readRequests(files, { profile }));
      return '';
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      return [error.message, ...error.problems.map(({ file, problem }) => `${file}: ${problem}`)].join('\n');
    }
  }

  it('is free, or holds certificates and nothing else', () => {
    const made = folderWith({ 'door-7.csr': csr });
    expect(refusal(join(made, 'new'), [join(made, 'door-7.csr')])).toBe('');
    writeFileSync(join(made, 'new', 'door-7.pem'), `${pem}\n${pem}`);
    expect(refusal(join(made, 'new'), [join(made, 'door-7.csr')])).toBe('');
  });

  it.each([
    ['a private key', () => key],
    ['a certificate with its key', () => pem + key],
    ['a key with its certificate', () => key + pem],
    ['a CSR', () => csr],
    ['notes', () => 'do not lose this'],
  ])('is not where there is %s', (_, content) => {
    const made = folderWith({ 'door-7.csr': csr, 'door-7.pem': content() });
    expect(refusal(made, [join(made, 'door-7.csr')])).toMatch(/Nothing was sent\..*door-7\.pem: It is there already/);
    expect(readFileSync(join(made, 'door-7.pem'), 'utf8')).toBe(content());
  });

  it('is not a link or a folder', () => {
    const made = folderWith({ 'door-7.csr': csr, 'door-8.csr': makePemCsr(key, 'door-8') });
    symlinkSync(join(made, 'nowhere'), join(made, 'door-7.pem'));
    mkdirSync(join(made, 'door-8.pem'));
    const told = refusal(made, [join(made, 'door-7.csr'), join(made, 'door-8.csr')]);
    expect(told.match(/is no plain file/g)).toHaveLength(2);
  });

  it('is not a file that is sent, whatever its name there', () => {
    const made = folderWith({ 'door-7.pem': csr });
    expect(refusal(made, [join(made, 'door-7.pem')])).toMatch(/written over the CSR in .*door-7\.pem/);
    const out = folderWith({});
    linkSync(join(made, 'door-7.pem'), join(out, 'door-7.pem'));
    expect(refusal(out, [join(made, 'door-7.pem')])).toMatch(/written over the CSR/);
  });

  it('is not another one in capital letters', () => {
    const made = folderWith({ 'door-7.csr': csr });
    mkdirSync(join(made, 'more'));
    writeFileSync(join(made, 'more', 'DOOR-7.csr'), makePemCsr(key, 'DOOR-7'));
    const files = [join(made, 'door-7.csr'), join(made, 'more', 'DOOR-7.csr')];
    expect(refusal(join(made, 'out'), files)).toMatch(/capital letters only/);
  });

  it('is looked at again when the certificate has come', () => {
    const made = folderWith({});
    const path = join(made, 'door-7.pem');
    const chain = { pem: '', problem: undefined };
    expect(writeCertificate(path, ca.issuing, chain)).toBeUndefined();
    writeFileSync(path, key);
    expect(writeCertificate(path, ca.issuing, chain)).toMatch(/holds something else/);
    expect(readFileSync(path, 'utf8')).toBe(key);
    expect(writeCertificate(join(made, 'none', 'x.pem'), ca.issuing, chain)).toMatch(/cannot be written \(ENOENT\)/);
  });
});

describe('chains', () => {
  it('leave out the root, and what cannot be read, and say so', () => {
    const issuer = { state: 'active', certificate: ca.issuing };
    const garbage = Uint8Array.of(1, 2, 3);
    const chains = chainsOf([
      { ...issuer, issuerId: 'whole', chain: [ca.root] },
      { ...issuer, issuerId: 'torn', chain: [garbage, ca.root] },
      { ...issuer, issuerId: 'none', certificate: undefined, chain: [] },
    ]);
    expect(chains.get('whole')).toEqual({ pem, problem: undefined });
    expect(chains.get('torn')).toEqual({ pem, problem: expect.stringContaining('torn') });
    expect(chains.get('none')).toEqual({ pem: '', problem: expect.stringContaining('none') });
  });
});

describe('the request id', () => {
  it('follows from CSR and profile, and from the label of --again', () => {
    const made = folderWith({ 'door-7.csr': csr });
    const idOf = (options: { readonly profile: string; readonly again?: string }) =>
      readRequests([join(made, 'door-7.csr')], options)[0]?.requestId;
    const ids = [
      idOf({ profile: 'a' }),
      idOf({ profile: 'b' }),
      idOf({ profile: 'a', again: '1' }),
      idOf({ profile: 'a', again: '2' }),
    ];
    expect(new Set(ids).size).toBe(4);
    expect(idOf({ profile: 'a', again: '1' })).toBe(ids[2]);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
  });
});

const issued = {
  status: 'issued',
  issuerId: 'devices',
  serialNumber: '01',
  crlShard: 0,
  certificate: Uint8Array.of(1),
  notAfter: Date.UTC(2026, 0, 1),
  issuedAt: Date.UTC(2025, 0, 1),
  stoodAlready: true,
} as const;

describe('what is told of an answer', () => {
  const sent = {
    file: 'door-7.csr',
    deviceId: 'door-7',
    requestId: 'r',
    messageId: 'm',
    isRevoked: false,
    certificateFile: undefined,
  };
  const tell = (one: Partial<SentFile>, now: number) => {
    const view = { now, unanswered: 'waiting', anew: '--again <label>' } as const;
    const whole = { ...sent, answer: issued, ...one };
    return { json: requestJson(whole, view), lines: requestLines([whole], view).join('\n') };
  };

  it('of a certificate that was there before: since when, until when, and how to get another', () => {
    const { json, lines } = tell({}, issued.notAfter);
    expect(json).toMatchObject({
      status: 'issued',
      stoodAlready: true,
      issuedAt: '2025-01-01T00:00:00.000Z',
      notAfter: '2026-01-01T00:00:00.000Z',
    });
    expect(json).not.toHaveProperty('problem');
    expect(lines).toContain('1 issued (1 of them before this)');
    expect(lines).toContain('--again <label>');
  });

  it('of one that has expired or is revoked', () => {
    const expired = tell({}, issued.notAfter + 1);
    expect(expired.json).toMatchObject({ problem: 'expired', cure: expect.stringContaining('--again') });
    expect(expired.lines).toContain('expired at 2026-01-01T00:00:00Z. Ask for a new certificate with --again <label>.');
    const revoked = tell({ isRevoked: true }, 0);
    expect(revoked.json).toMatchObject({ problem: 'revoked' });
    expect(revoked.lines).toMatch(/issued at 2025-01-01T00:00:00Z, is revoked\./);
  });

  it('of a rejection for good that was there before: how to ask again', () => {
    const rejected = { status: 'rejected', code: 'NAME_NOT_ALLOWED', detail: 'No.', stoodAlready: true } as const;
    expect(tell({ answer: rejected }, 0).json.cure).toMatch(/answered so before.*--again <label>/);
    expect(tell({ answer: { ...rejected, stoodAlready: false } }, 0).json.cure).not.toContain('--again');
  });
});

describe('waiting for answers', () => {
  const unavailable = new MintmarkError('STORE_UNAVAILABLE', 'Reading x: Throttling: slow');
  const request = (name: string): Awaited => ({ deviceId: name, requestId: 'r', messageId: name, requestHash: 'h' });
  const record = (deviceId: string): IssuanceRecord => ({
    deviceId,
    requestId: 'r',
    state: 'issued',
    requestHash: 'h',
    ignored: [],
    abandonedSerialNumbers: [],
    conflicts: 0,
    certificate: Uint8Array.of(1),
  });

  /** Waits on a clock of its own. @param until when it is over, in milliseconds; rows by look, failures by look */
  async function wait(
    names: readonly string[],
    until: number,
    issuance: readonly (readonly string[] | Error)[],
    failed: readonly string[] = [],
  ) {
    let time = 0;
    let look = 0;
    const asked: { readonly at: number; readonly ids: readonly string[] }[] = [];
    const over = new AbortController();
    const answers = new Map<string, Answer['status']>();
    const troubles: string[] = [];
    const tables: Tables = {
      issuance: {
        get: () => {
          const rows = issuance[Math.min(look++, issuance.length - 1)] ?? [];
          return rows instanceof Error ? Promise.reject(rows) : Promise.resolve(rows.map(record));
        },
      },
      failures: {
        get: (ids) => {
          asked.push({ at: time, ids });
          return Promise.resolve(
            failed.filter((id) => ids.includes(id)).map((messageId) => ({ messageId, code: 'C' }) as FailureRecord),
          );
        },
      },
    };
    await waitForAnswers(tables, names.map(request), {
      onAnswer: ({ deviceId }, { status }) => answers.set(deviceId, status),
      onTrouble: ({ message }) => troubles.push(message),
      until: over.signal,
      now: () => time,
      wait: (milliseconds) => {
        time += milliseconds;
        if (time >= until) over.abort();
        return Promise.resolve();
      },
    });
    return { answers: Object.fromEntries(answers), asked, troubles, looks: look };
  }

  it('a store that is unavailable is asked again, and costs no answer', async () => {
    const { answers, troubles } = await wait(['a', 'b'], 60_000, [['a'], unavailable, unavailable, ['b']]);
    expect(answers).toEqual({ a: 'issued', b: 'issued' });
    expect(troubles).toHaveLength(2);
  });

  it('a store that stays unavailable ends the waiting when its time is up, with what was answered', async () => {
    const { answers, troubles } = await wait(['a', 'b'], 5_000, [['a'], unavailable]);
    expect(answers).toEqual({ a: 'issued' });
    expect(troubles.length).toBeGreaterThan(1);
  });

  it('a store that refuses ends it at once', async () => {
    const refused = new MintmarkError('STORE_REFUSED', 'No.');
    await expect(wait(['a', 'b'], 60_000, [['a'], refused])).rejects.toThrow(refused);
  });

  it('failures are asked for seldom, and of what has no row only', async () => {
    const { answers, asked, looks } = await wait(['a', 'b', 'c'], 300_000, [['a'], []], ['b']);
    expect(answers).toEqual({ a: 'issued', b: 'failed' });
    const [first] = asked;
    expect(first?.ids).toEqual(['b', 'c']);
    expect(first?.at).toBeGreaterThanOrEqual(2_000);
    expect(asked.slice(1).every(({ ids }) => ids.length === 1)).toBe(true);
    expect(asked.length).toBeLessThan(looks / 8);
  });
});

describe('sending', () => {
  const requests = Array.from({ length: 25 }, (_, index) => ({
    deviceId: `d-${index}`,
    requestId: 'r',
    profile: 'p',
    csr: 'c',
  }));
  type Batch = { readonly input: { readonly Entries: readonly { readonly Id: string }[] } };
  /** SQS that does `last` with the last batch. */
  const queue = (last: (entries: Batch['input']['Entries']) => unknown) =>
    ({
      send: ({ input: { Entries: entries } }: Batch) =>
        entries.length < 10
          ? Promise.resolve().then(() => last(entries))
          : Promise.resolve({ Successful: entries.map(({ Id }) => ({ Id, MessageId: Id })) }),
    }) as unknown as SQSClient;
  const url = 'http://sqs/000000000000/mintmark-test-requests';

  it('in part: how many are sent, and to which queue', async () => {
    const partly = queue(([first, ...rest]) => ({
      Successful: [{ Id: first?.Id, MessageId: 'm' }],
      Failed: rest.map(({ Id }) => ({ Id, Code: 'InternalError', Message: 'later' })),
    }));
    await expect(sendRequests(partly, url, requests)).rejects.toThrow(
      'Sending to the queue mintmark-test-requests, which has taken 21 of 25: it refuses a message: InternalError: later',
    );
  });

  it('cut off: the same, with what the client says', async () => {
    const cut = queue(() => Promise.reject(Object.assign(new Error('hang up'), { name: 'TimeoutError' })));
    await expect(sendRequests(cut, url, requests)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(/mintmark-test-requests, which has taken 20 of 25: TimeoutError: hang up$/),
      cause: { name: 'TimeoutError' },
    });
  });
});
