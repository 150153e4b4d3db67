import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import { combine, split } from 'shamir-secret-sharing';
import { UsageError } from './errors.ts';

/**
 * An offline copy of a crypto user's PIN, for the day on which no key store unseals it: the PIN under AES-256-GCM with a key of
 * its own, and that key split among holders (Shamir's secret sharing over GF(2^8)), of whom any `threshold` open it and fewer
 * learn nothing. Text throughout, so that it can be printed and typed again. Pure, but for the shares' randomness, which the
 * library takes from the system itself.
 */

/** What a copy says of itself; all of it is authenticated by the copy's tag. */
export interface BreakGlassFacts {
  readonly stage: string;
  /** The issuer's id, or `canaryOfCopy`. */
  readonly issuer: string;
  /** The CloudHSM cluster that the PIN logs in to. */
  readonly clusterId: string;
  readonly userName: string;
  /** Milliseconds since the epoch. */
  readonly madeAt: number;
  /** How many shares there are. */
  readonly shares: number;
  /** How many of them open the copy. */
  readonly threshold: number;
}

export interface BreakGlassTexts {
  /** SHA-256 of the copy's text, in hex; every share names it. */
  readonly fingerprint: string;
  readonly copy: string;
  readonly shares: readonly string[];
}

export interface Recovered {
  readonly facts: BreakGlassFacts;
  readonly fingerprint: string;
  /** `user:password`, for the caller to overwrite. */
  readonly pin: Uint8Array;
}

/** A text, with the name that it is told of by: its file's. */
export interface NamedText {
  readonly name: string;
  readonly text: string;
}

/** Whose PIN it is where it is no issuer's: no issuer's id begins so. */
export const canaryOfCopy = '#canary';

/** So many holders at most: the library has 255 of them, and nobody could bring more than these together. */
export const maximumShares = 16;

const copyTitle = "Mintmark break-glass copy of a crypto user's PIN";
const shareTitle = 'Mintmark break-glass share. SECRET: keep it on a medium of its own, away from the other shares';
const version = '1';
const cipher = 'aes-256-gcm';
const keyLength = 32;
const nonceLength = 12;
const tagLength = 16;

/** @param randomBytes cryptographically strong; the key and the nonce come from it */
export async function makeBreakGlass(
  pin: Uint8Array,
  facts: BreakGlassFacts,
  randomBytes: (size: number) => Uint8Array,
): Promise<BreakGlassTexts> {
  const { shares: count, threshold } = facts;
  // The library takes nothing but a plain Uint8Array.
  const key = new Uint8Array(randomBytes(keyLength));
  const nonce = randomBytes(nonceLength);
  const head = linesOf([copyTitle, ...factLinesOf(facts), `cipher: ${cipher}`]);
  const encryption = createCipheriv(cipher, key, nonce).setAAD(Buffer.from(head));
  const ciphertext = Buffer.concat([encryption.update(pin), encryption.final(), encryption.getAuthTag()]);
  const copy = `${head}${linesOf([`nonce: ${base64(nonce)}`, `ciphertext: ${base64(ciphertext)}`])}`;
  const fingerprint = sha256(copy);
  const parts = await split(key, count, threshold);
  key.fill(0);
  const shares = parts.map((part, index) => {
    const body = linesOf([
      shareTitle,
      ...factLinesOf(facts),
      `copy: ${fingerprint}`,
      `share: ${index + 1}`,
      `data: ${base64(part)}`,
    ]);
    part.fill(0);
    return `${body}${linesOf([`check: ${checkOf(body)}`])}`;
  });
  return { fingerprint, copy, shares };
}

/**
 * Opens a copy with its holders' shares.
 * @param texts the copy and the shares, in any order
 * @throws UsageError that says which of them is in the way, and why; nothing of the key or the PIN is in it
 */
export async function openBreakGlass(texts: readonly NamedText[]): Promise<Recovered> {
  const read = texts.map(readText);
  const copies = read.filter((one) => one.kind === 'copy');
  const [copy, other] = copies;
  if (copy === undefined) throw refused('None of the files is the encrypted copy.', 'Name it beside the shares.');
  if (other !== undefined)
    throw refused(`${copy.name} and ${other.name} are two copies.`, 'Name one copy, and its shares.');
  const { facts, fingerprint } = copy;
  const shares = read.filter((one) => one.kind === 'share');
  requireOwn(copy, shares);
  requireEnough(shares, facts);
  const key = await combine(shares.map(({ data }) => data)).finally(() => shares.forEach(({ data }) => data.fill(0)));
  try {
    const decryption = createDecipheriv(cipher, key, copy.nonce, { authTagLength: tagLength })
      .setAAD(Buffer.from(copy.head))
      .setAuthTag(copy.ciphertext.subarray(-tagLength));
    const pin = new Uint8Array(
      Buffer.concat([decryption.update(copy.ciphertext.subarray(0, -tagLength)), decryption.final()]),
    );
    return { facts, fingerprint, pin };
  } catch (cause) {
    throw refused(
      'The shares do not open the copy: at least one of them is another than was handed out.',
      'Try again with other holders in turn.',
      cause,
    );
  } finally {
    key.fill(0);
  }
}

interface Copy {
  readonly kind: 'copy';
  readonly name: string;
  readonly facts: BreakGlassFacts;
  readonly fingerprint: string;
  /** Up to the nonce: what the tag authenticates besides the PIN. */
  readonly head: string;
  readonly nonce: Uint8Array;
  readonly ciphertext: Uint8Array;
}

interface Share {
  readonly kind: 'share';
  readonly name: string;
  readonly facts: BreakGlassFacts;
  /** The fingerprint of the copy that it is of. */
  readonly copy: string;
  readonly share: number;
  readonly data: Uint8Array;
}

function requireOwn(copy: Copy, shares: readonly Share[]): void {
  const stray = shares.find((share) => share.copy !== copy.fingerprint);
  if (stray !== undefined) {
    throw refused(
      `${stray.name} is a share of another copy, or ${copy.name} was altered: it names ${short(stray.copy)}, and the copy is ${short(copy.fingerprint)}.`,
      `Leave it out, and take the shares of ${describe(copy.facts)}.`,
    );
  }
}

function requireEnough(shares: readonly Share[], { threshold }: BreakGlassFacts): void {
  for (const [index, share] of shares.entries()) {
    const same = shares.slice(0, index).find((earlier) => earlier.share === share.share || isSamePoint(earlier, share));
    if (same !== undefined) {
      throw refused(`${same.name} and ${share.name} are one share, twice.`, "Name each holder's share once.");
    }
  }
  if (shares.length < threshold) {
    throw refused(
      `It takes ${threshold} shares, and ${shares.length === 1 ? 'there is 1' : `there are ${shares.length}`}.`,
      'Ask further holders.',
    );
  }
}

/** A share's last byte says where on the polynomial it is. */
const isSamePoint = (one: Share, other: Share): boolean => one.data.at(-1) === other.data.at(-1);

function readText({ name, text }: NamedText): Copy | Share {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const title = lines.find((line) => line !== '');
  if (title !== copyTitle && title !== shareTitle) {
    throw refused(`${name} is neither a break-glass copy nor a share.`, 'Name the files that `mintmark pin` made.');
  }
  const fields = new Map(
    lines.flatMap((line) => {
      const [, key = '', value = ''] = /^([a-z]+): (.*)$/.exec(line) ?? [];
      return key === '' ? [] : [[key, value] as const];
    }),
  );
  const field = (key: string): string => {
    const value = fields.get(key);
    if (value === undefined) throw damaged(name, `it has no ${key}`);
    return value;
  };
  if (field('version') !== version) {
    throw refused(`${name} has the version ${field('version')}.`, 'Use the Mintmark that made it, or a later one.');
  }
  const facts = readFacts(name, field);
  return title === copyTitle ? readCopy(name, facts, field) : readShare(name, facts, field);
}

function readFacts(name: string, field: (key: string) => string): BreakGlassFacts {
  const count = (key: string): number => {
    const value = Number(field(key));
    if (!Number.isInteger(value) || value < 2 || value > maximumShares) throw damaged(name, `its ${key} is no count`);
    return value;
  };
  const madeAt = Date.parse(field('made'));
  if (Number.isNaN(madeAt)) throw damaged(name, 'its date is none');
  const facts = {
    stage: field('stage'),
    issuer: field('issuer'),
    clusterId: field('cluster'),
    userName: field('user'),
    madeAt,
    shares: count('shares'),
    threshold: count('threshold'),
  };
  if (facts.threshold > facts.shares) throw damaged(name, 'its threshold is more than its shares');
  return facts;
}

function readCopy(name: string, facts: BreakGlassFacts, field: (key: string) => string): Copy {
  if (field('cipher') !== cipher) throw damaged(name, `its cipher is not ${cipher}`);
  // As it was written, whatever an editor or a mail has made of the ends of its lines.
  const head = linesOf([copyTitle, ...factLinesOf(facts), `cipher: ${cipher}`]);
  const nonce = bytesOf(name, field, 'nonce');
  const ciphertext = bytesOf(name, field, 'ciphertext');
  if (nonce.length !== nonceLength || ciphertext.length <= tagLength) throw damaged(name, 'it is cut short');
  const text = `${head}${linesOf([`nonce: ${base64(nonce)}`, `ciphertext: ${base64(ciphertext)}`])}`;
  return { kind: 'copy', name, facts, fingerprint: sha256(text), head, nonce, ciphertext };
}

function readShare(name: string, facts: BreakGlassFacts, field: (key: string) => string): Share {
  const share = Number(field('share'));
  const data = bytesOf(name, field, 'data');
  const copy = field('copy');
  const body = linesOf([
    shareTitle,
    ...factLinesOf(facts),
    `copy: ${copy}`,
    `share: ${share}`,
    `data: ${base64(data)}`,
  ]);
  if (data.length !== keyLength + 1 || field('check') !== checkOf(body)) {
    throw damaged(name, 'its check does not fit: a slip in typing it, or it was altered');
  }
  return { kind: 'share', name, facts, copy, share, data };
}

function bytesOf(name: string, field: (key: string) => string, key: string): Uint8Array {
  const value = field(key);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(value)) throw damaged(name, `its ${key} is no base64`);
  return Uint8Array.from(Buffer.from(value, 'base64'));
}

const factLinesOf = (facts: BreakGlassFacts): string[] => [
  `version: ${version}`,
  `stage: ${facts.stage}`,
  `issuer: ${facts.issuer}`,
  `cluster: ${facts.clusterId}`,
  `user: ${facts.userName}`,
  `made: ${new Date(facts.madeAt).toISOString()}`,
  `shares: ${facts.shares}`,
  `threshold: ${facts.threshold}`,
];

const describe = ({ userName, issuer, stage, madeAt }: BreakGlassFacts): string =>
  `the PIN of ${userName}, issuer ${issuer} in stage ${stage}, of ${new Date(madeAt).toISOString()}`;

const linesOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
/** Against slips of whoever types a share again. It tells nothing of 33 random bytes, and is no proof against a forger. */
const checkOf = (body: string): string => sha256(body).slice(0, 8);
/** Enough of a fingerprint for people to compare. */
const short = (fingerprint: string): string => fingerprint.slice(0, 16);

const damaged = (name: string, why: string): UsageError =>
  refused(`${name} cannot be read: ${why}.`, 'Compare it with what was handed out, or ask another holder.');

const refused = (message: string, cure: string, cause?: unknown): UsageError =>
  new UsageError(message, cure, { cause });
