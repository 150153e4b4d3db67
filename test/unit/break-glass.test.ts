import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type BreakGlassFacts, type BreakGlassTexts, makeBreakGlass, openBreakGlass } from '../../cli/break-glass.ts';
import { readBreakGlassFile, writeBreakGlass } from '../../cli/break-glass-files.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const facts: BreakGlassFacts = {
  stage: 'prod',
  issuer: 'devices',
  clusterId: 'cluster-abcdefghijk',
  userName: 'crypto_user',
  madeAt: Date.parse('2026-11-22T12:00:00Z'),
  shares: 4,
  threshold: 3,
};
const pin = 'crypto_user:never-to-be-shown';

const made = await makeBreakGlass(Buffer.from(pin), facts, randomBytes);
const other = await makeBreakGlass(Buffer.from(pin), facts, randomBytes);
const share = ({ shares }: BreakGlassTexts, number: number) => shares[number - 1] ?? '';

const open = (...texts: readonly string[]) =>
  openBreakGlass(texts.map((text, index) => ({ name: `file ${index}`, text })));

const refusal = (...texts: readonly string[]): Promise<string> =>
  open(...texts).then(
    () => 'opened',
    (error: Error) => error.message,
  );

describe('a break-glass copy', () => {
  it('says what it is of, and how it is opened', () => {
    for (const line of ['stage: prod', 'issuer: devices', 'cluster: cluster-abcdefghijk', 'user: crypto_user']) {
      expect(made.copy.split('\n')).toContain(line);
      expect(share(made, 1).split('\n')).toContain(line);
    }
    expect(made.copy).toMatch(/^made: 2026-11-22T12:00:00.000Z\nshares: 4\nthreshold: 3$/m);
    expect(share(made, 2)).toMatch(/^Mintmark break-glass share\. SECRET: .*/);
    expect(share(made, 2)).toMatch(new RegExp(`^copy: ${made.fingerprint}\nshare: 2$`, 'm'));
  });

  it.each([
    ['no copy', [share(made, 1), share(made, 2), share(made, 3)], 'None of the files is the encrypted copy.'],
    ['two copies', [made.copy, other.copy, share(made, 1)], 'file 0 and file 1 are two copies.'],
    ['no share', [made.copy], 'It takes 3 shares, and there are 0.'],
    ['too few', [made.copy, share(made, 1), share(made, 4)], 'It takes 3 shares, and there are 2.'],
    [
      'one of another copy',
      [made.copy, share(made, 1), share(other, 2), share(made, 3)],
      `file 2 is a share of another copy, or file 0 was altered: it names ${other.fingerprint.slice(0, 16)}, and the copy is ${made.fingerprint.slice(0, 16)}.`,
    ],
    [
      'one twice',
      [made.copy, share(made, 1), share(made, 2), share(made, 1)],
      'file 1 and file 3 are one share, twice.',
    ],
    [
      'a slip in a share',
      [
        made.copy,
        share(made, 1),
        share(made, 2),
        share(made, 3).replace(/^data: (.)/m, (_, first) => `data: ${first === 'A' ? 'B' : 'A'}`),
      ],
      'file 3 cannot be read: its check does not fit: a slip in typing it, or it was altered.',
    ],
    ['another text', [made.copy, 'Shopping list\n\nbread\n'], 'file 1 is neither a break-glass copy nor a share.'],
    ['a version to come', [made.copy.replace('version: 1', 'version: 2'), share(made, 1)], 'file 0 has the version 2.'],
    [
      'a line less',
      [made.copy.replace(/^nonce: .*\n/m, ''), share(made, 1)],
      'file 0 cannot be read: it has no nonce.',
    ],
  ])('is not opened with %s', async (_, texts, sentence) => {
    expect(await refusal(...texts)).toBe(sentence);
  });

  it('is not opened with what somebody made to look like a share of it', async () => {
    const forged = await makeBreakGlass(Buffer.from(pin), facts, randomBytes);
    const body = share(forged, 3)
      .replace(/^copy: .*$/m, `copy: ${made.fingerprint}`)
      .replace(/^check: .*\n/m, '');
    const check = createHash('sha256').update(body).digest('hex').slice(0, 8);
    const sentence = await refusal(made.copy, share(made, 1), share(made, 2), `${body}check: ${check}\n`);
    // One time in 84 it is on the same point as one of the others, which is told apart before.
    expect([
      'The shares do not open the copy: at least one of them is another than was handed out.',
      'file 1 and file 3 are one share, twice.',
      'file 2 and file 3 are one share, twice.',
    ]).toContain(sentence);
  });

  it('is opened after a mail or an editor had it', async () => {
    const mangled = [made.copy, share(made, 4), share(made, 2), share(made, 1)].map(
      (text) => `\r\n${text.replaceAll('\n', '  \r\n')}\r\n\r\n`,
    );
    expect(Buffer.from((await open(...mangled)).pin).toString()).toBe(pin);
  });
});

describe('its files', () => {
  it('are readable by their user alone, named by what they are, and never written over', () => {
    const folder = join(temporaryFolder('break-glass'), 'new');
    const written = writeBreakGlass(folder, facts, made);
    const stem = `pin-prod-devices-crypto_user-${made.fingerprint.slice(0, 8)}`;
    expect(readdirSync(folder).toSorted()).toEqual(
      [`${stem}.copy.txt`, ...[1, 2, 3, 4].map((number) => `${stem}.share-${number}-of-4.txt`)].toSorted(),
    );
    for (const path of [written.copy, ...written.shares]) expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(readFileSync(written.shares[1] ?? '', 'utf8')).toBe(share(made, 2));
    expect(readBreakGlassFile(written.copy)).toEqual({ name: `${stem}.copy.txt`, text: made.copy });
    expect(() => writeBreakGlass(folder, facts, made)).toThrow('EEXIST');
    // What was there stays.
    expect(readFileSync(written.copy, 'utf8')).toBe(made.copy);
    written.remove();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('are all there, or none', () => {
    const folder = temporaryFolder('break-glass');
    const first = writeBreakGlass(folder, facts, made);
    const taken = first.shares[2] ?? '';
    const text = readFileSync(taken, 'utf8');
    for (const path of [first.copy, ...first.shares]) if (path !== taken) rmSync(path);
    expect(() => writeBreakGlass(folder, facts, made)).toThrow('EEXIST');
    expect(readdirSync(folder).map((name) => join(folder, name))).toEqual([taken]);
    expect(readFileSync(taken, 'utf8')).toBe(text);
  });
});
