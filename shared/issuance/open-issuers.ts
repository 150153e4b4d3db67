import { createHash, X509Certificate } from 'node:crypto';
import { asMintmarkError, type ErrorCode, MintmarkError } from '../errors.ts';
import type { FirstLogins, Issuer, Issuers, LoginOutcome } from '../ledger/index.ts';
import type { Signer } from '../signer/index.ts';
import { type Certified, certify } from './certify.ts';
import { type IssuerCertificate, readIssuerCertificate } from './issuer-certificate.ts';
import { type KeyPair, keyPairOfIssuer } from './key-checks/issuer-key.ts';
import type { Profile } from './profile.ts';
import { type TbsIssuer, tbsTemplate } from './tbs.ts';

/**
 * Whether the HSM is asked once more: each attempt with a wrong PIN counts towards locking the crypto user out. `is-proved`:
 * also where a signer works, which is then opened anew with a login, and signs no more where that fails.
 */
export type RefusedPin = 'stays-refused' | 'is-sent-again' | 'is-proved';

/** An issuing CA that is ready to sign. */
export interface OpenIssuer {
  readonly tbsIssuer: TbsIssuer;
  /**
   * Signs TBSCertificates in one call to the signer: a certificate for each, in its place, or why there is none.
   * @param deadline milliseconds since the epoch
   */
  readonly certify: (tbsCertificates: readonly Uint8Array[], deadline: number) => Promise<Certified[]>;
  /** The template of a profile's certificates; made once. */
  readonly templateOf: (profile: Profile) => ReturnType<typeof tbsTemplate>;
  /** Its row has another PIN's envelope than its signer was opened with; why that one does not open. */
  readonly newerPinError?: MintmarkError;
}

const refusedPinCode: ErrorCode = 'SIGNER_PIN_REFUSED';

/** An issuer's row may be read from memory for this long (milliseconds): so long can retiring one take to be seen. */
const cacheLifetime = 60_000;

/** Whether a signer may use a login that this process has already, or is to log in itself, which shows that its PIN is right. */
export type Login = 'standing' | 'anew';

export interface OpenIssuersOptions {
  readonly issuers: Issuers;
  /** Opens the signer of an issuer; `deadline` in milliseconds since the epoch. */
  readonly openSigner: (
    issuer: Issuer,
    certificate: IssuerCertificate,
    deadline: number,
    login: Login,
  ) => Promise<Signer>;
  /** Of PINs; an issuer whose key is in KMS has none. */
  readonly firstLogins: Pick<FirstLogins, 'begin' | 'end'>;
  readonly now: () => number;
  /** Resolves after so many milliseconds. */
  readonly wait: (milliseconds: number) => Promise<unknown>;
}

/** Milliseconds between two looks at what came of another process's first login, and for how long it is waited for. */
const firstLoginPause = 200;
const firstLoginPatience = 10_000;

/** A signer that opened. */
interface WorkingSigner {
  readonly fingerprint: Fingerprint;
  readonly signer: Signer;
  readonly issuer: OpenIssuer;
}

/** What came of an issuer's row, as it was read. */
interface Opening {
  readonly fingerprint: Fingerprint;
  readonly opened: Promise<OpenIssuer>;
  /** Its PIN was refused: that answer stands. */
  isRefused: boolean;
}

/** The issuers of this process: rows cached, signers opened at first need and kept while their row stays the same. */
export class OpenIssuers {
  readonly #options: OpenIssuersOptions;
  readonly #rows = new Map<string, { readonly issuer: Issuer | undefined; readonly readAt: number }>();
  readonly #openings = new Map<string, Opening>();
  readonly #working = new Map<string, WorkingSigner>();
  readonly #closing: Promise<void>[] = [];
  #keyPairs: { readonly read: Promise<ReadonlySet<KeyPair>>; readonly readAt: number } | undefined;

  constructor(options: OpenIssuersOptions) {
    this.#options = options;
  }

  /**
   * An active issuer with its signer open. Where the row has another PIN's envelope by now and that one does not open, the
   * signer of before, which still works, with `newerPinError`.
   * @param deadline milliseconds since the epoch
   * @throws MintmarkError ISSUER_NOT_ACTIVE, CONFIGURATION_INVALID, the signer's, the store's
   */
  open(issuerId: string, deadline: number): Promise<OpenIssuer> {
    return this.#open(issuerId, deadline, 'stays-refused');
  }

  async requireActive(issuerId: string): Promise<void> {
    await this.#readActive(issuerId);
  }

  /**
   * As `open`, after reading the issuer's row past the cache.
   * @param refusedPin what of a PIN that was refused and is still the row's. `is-proved`: the signer of before is closed
   *   first, and is not gone back to: it would log in with the same PIN, or a worse one, at its next signature
   */
  openNow(issuerId: string, deadline: number, refusedPin: RefusedPin = 'stays-refused'): Promise<OpenIssuer> {
    this.#rows.delete(issuerId);
    return this.#open(issuerId, deadline, refusedPin);
  }

  keyPairs(): Promise<ReadonlySet<KeyPair>> {
    const now = this.#options.now();
    const cached = this.#keyPairs;
    if (cached !== undefined && now - cached.readAt < cacheLifetime) return cached.read;
    // Requests of one batch that ask at the same moment share the answer.
    const reading = { read: this.#readKeyPairs(), readAt: now };
    this.#keyPairs = reading;
    reading.read.catch(() => {
      if (this.#keyPairs === reading) this.#keyPairs = undefined;
    });
    return reading.read;
  }

  async close(): Promise<void> {
    const openings = [...this.#openings.values()];
    this.#openings.clear();
    // One that never opened has nothing to close, and its error went to those who asked for it.
    await Promise.allSettled(openings.map(({ opened }) => opened));
    for (const { signer } of this.#working.values()) this.#closing.push(signer.close());
    this.#working.clear();
    await Promise.all(this.#closing);
  }

  async #open(issuerId: string, deadline: number, refusedPin: RefusedPin): Promise<OpenIssuer> {
    const issuer = await this.#readActive(issuerId);
    const login: Login = refusedPin === 'is-proved' ? 'anew' : 'standing';
    const fingerprint = fingerprintOf(issuer);
    const standing = this.#openings.get(issuerId);
    // One that is being opened is left: its attempt is the one.
    const isSentAgain = refusedPin === 'is-sent-again' && standing?.isRefused === true;
    const isKept = login === 'standing' && !isSentAgain;
    if (standing?.fingerprint.whole === fingerprint.whole && isKept) return standing.opened;
    const opened = this.#openAfter(standing, issuer, fingerprint, deadline, login, refusedPin !== 'stays-refused');
    const opening: Opening = { fingerprint, opened, isRefused: false };
    this.#openings.set(issuerId, opening);
    const error = await opened.then(({ newerPinError }) => newerPinError, asMintmarkError);
    // What failed is tried again, but for a PIN that was refused: sent again and again it locks the crypto user out,
    // so that answer stands until the row holds another one, or until somebody says that it may be sent again.
    opening.isRefused = error?.code === refusedPinCode;
    if (error !== undefined && !opening.isRefused && this.#openings.get(issuerId) === opening) {
      this.#openings.delete(issuerId);
    }
    // Whoever asks next does so because somebody says that the row holds another one by now.
    if (opening.isRefused) this.#rows.delete(issuerId);
    return opened;
  }

  /** In turn: which signer works, and which is closed, is then the last row's to say. */
  async #openAfter(
    standing: Opening | undefined,
    issuer: Issuer,
    fingerprint: Fingerprint,
    deadline: number,
    login: Login,
    isAdmitted: boolean,
  ): Promise<OpenIssuer> {
    const { issuerId } = issuer;
    await standing?.opened.catch(() => undefined);
    if (login === 'anew') await this.#closeWorking(issuerId);
    const before = this.#working.get(issuerId);
    if (before?.fingerprint.whole === fingerprint.whole) return before.issuer;
    // With a login of before the newer PIN would not be used until that is lost.
    const isRotated = before?.fingerprint.ca === fingerprint.ca;
    try {
      const working = await this.#openSigner(issuer, fingerprint, deadline, isRotated ? 'anew' : login, isAdmitted);
      this.#working.set(issuerId, working);
      this.#closeInBackground(before);
      return working.issuer;
    } catch (error) {
      // A slip in a rotated PIN stops no environment whose session is good. What is more than a PIN is not passed over:
      // another key or certificate is another CA.
      if (before?.fingerprint.ca === fingerprint.ca) return { ...before.issuer, newerPinError: asMintmarkError(error) };
      this.#working.delete(issuerId);
      this.#closeInBackground(before);
      throw error;
    }
  }

  async #closeWorking(issuerId: string): Promise<void> {
    const working = this.#working.get(issuerId);
    this.#working.delete(issuerId);
    await working?.signer.close();
  }

  /** @param isAdmitted one that the breaker lets try, one in the fleet: whatever is known of its PIN, it is sent */
  async #openSigner(
    issuer: Issuer,
    fingerprint: Fingerprint,
    deadline: number,
    login: Login,
    isAdmitted: boolean,
  ): Promise<WorkingSigner> {
    const { issuerId } = issuer;
    const certificate = readIssuerCertificate(issuerId, issuer.certificate);
    const { pins } = fingerprint;
    const isFirst = pins !== undefined && !isAdmitted && (await this.#isFirstLogin(issuerId, pins, deadline));
    let outcome: LoginOutcome = 'nothing';
    let signer: Signer;
    try {
      // Another signer's login in this process would prove nothing.
      signer = await this.#options.openSigner(issuer, certificate, deadline, isFirst ? 'anew' : login);
      outcome = 'proved';
    } catch (error) {
      if (asMintmarkError(error).code === refusedPinCode) outcome = 'refused';
      throw error;
    } finally {
      if (pins !== undefined && (isFirst || isAdmitted)) {
        // Where it cannot be written, this process signs all the same, and the others try when this one's turn is over.
        await this.#options.firstLogins.end(issuerId, pins, outcome).catch(() => undefined);
      }
    }
    const onRefused = (error: MintmarkError) => this.#stopUsing(issuerId, signer, error);
    return { fingerprint, signer, issuer: openIssuer(issuer, certificate, signer, onRefused) };
  }

  /**
   * Waits for another process's first login, if there is one under way.
   * @returns whether the first is this one's
   * @throws MintmarkError SIGNER_PIN_REFUSED where another one was refused, SIGNER_UNAVAILABLE where it takes too long
   */
  async #isFirstLogin(issuerId: string, pins: string, deadline: number): Promise<boolean> {
    const { firstLogins, now, wait } = this.#options;
    const end = Math.min(deadline, now() + firstLoginPatience);
    for (;;) {
      const turn = await firstLogins.begin(issuerId, pins, now());
      if (turn === 'refused') {
        throw new MintmarkError(refusedPinCode, 'Another process has logged in with this PIN and was refused.');
      }
      if (turn !== 'others') return turn === 'ours';
      if (now() + firstLoginPause >= end) {
        throw new MintmarkError(
          'SIGNER_UNAVAILABLE',
          'Another process is still logging in with this PIN, as the first.',
        );
      }
      await wait(firstLoginPause);
    }
  }

  /**
   * A signer whose session was lost, and whose PIN was refused when it logged in again: it logs in no more, so only another
   * one can, when the row holds another PIN or somebody says that this one may be sent again.
   */
  #stopUsing(issuerId: string, signer: Signer, error: MintmarkError): void {
    const working = this.#working.get(issuerId);
    if (working?.signer !== signer) return;
    this.#working.delete(issuerId);
    this.#closeInBackground(working);
    this.#rows.delete(issuerId);
    const opened = Promise.reject(error);
    // Nobody may ask for it.
    opened.catch(() => undefined);
    const standing = this.#openings.get(issuerId);
    const fingerprint = standing?.fingerprint ?? working.fingerprint;
    this.#openings.set(issuerId, { fingerprint, opened, isRefused: true });
  }

  /** Not waited for: a signer that hangs has five seconds to close, which are not this request's. */
  #closeInBackground(working: WorkingSigner | undefined): void {
    if (working !== undefined) this.#closing.push(working.signer.close());
  }

  async #readKeyPairs(): Promise<ReadonlySet<KeyPair>> {
    const rows = await this.#options.issuers.readCertificates();
    return new Set(rows.flatMap(({ certificate }) => keyPairIn(certificate) ?? []));
  }

  async #readActive(issuerId: string): Promise<Issuer> {
    const issuer = await this.#read(issuerId);
    if (issuer?.state === 'active') return issuer;
    const state = issuer === undefined ? 'is not in the issuers table' : 'is retired';
    throw new MintmarkError('ISSUER_NOT_ACTIVE', `The issuer ${issuerId} ${state}.`);
  }

  async #read(issuerId: string): Promise<Issuer | undefined> {
    const now = this.#options.now();
    const cached = this.#rows.get(issuerId);
    if (cached !== undefined && now - cached.readAt < cacheLifetime) return cached.issuer;
    const issuer = await this.#options.issuers.read(issuerId);
    // An issuer that is not there is looked for again by the next request: it may be added any moment.
    if (issuer !== undefined) this.#rows.set(issuerId, { issuer, readAt: now });
    return issuer;
  }
}

/**
 * Undefined for what is no certificate: nothing is signed as the CA of such a row either (readIssuerCertificate), and other CAs
 * are not stopped by it; relint names it.
 */
function keyPairIn(certificate: Uint8Array | undefined): KeyPair | undefined {
  if (certificate === undefined) return undefined;
  try {
    return keyPairOfIssuer(new X509Certificate(certificate).publicKey);
  } catch {
    return undefined;
  }
}

/** @param onRefused hears that the signer's PIN was refused; it is then asked no more */
function openIssuer(
  issuer: Issuer,
  certificate: IssuerCertificate,
  signer: Signer,
  onRefused: (error: MintmarkError) => void,
): OpenIssuer {
  const { issuerId, baseUrl, crlShardCount } = issuer;
  const tbsIssuer: TbsIssuer = { issuerId, certificate, scheme: signer.scheme, baseUrl, crlShardCount };
  const templates = new Map<string, ReturnType<typeof tbsTemplate>>();
  let refusal: MintmarkError | undefined;
  return {
    tbsIssuer,
    certify: async (tbsCertificates, deadline) => {
      // Whoever had it before it was closed gets the same answer as whoever opens it now.
      if (refusal !== undefined) return refusedAll(tbsCertificates, refusal);
      const certified = await certify(signer, certificate.publicKey, tbsCertificates, deadline);
      const refused = certified.map(errorOf).find((error) => error?.code === refusedPinCode);
      if (refused !== undefined && refusal === undefined) {
        refusal = refused;
        onRefused(refused);
      }
      return certified;
    },
    templateOf: (profile) => {
      const template = templates.get(profile.hash) ?? tbsTemplate(tbsIssuer, profile);
      templates.set(profile.hash, template);
      return template;
    },
  };
}

const refusedAll = (tbsCertificates: readonly Uint8Array[], error: MintmarkError): Certified[] =>
  tbsCertificates.map(() => ({ error }));

const errorOf = (certified: Certified): MintmarkError | undefined =>
  'error' in certified ? asMintmarkError(certified.error) : undefined;

/** What a signer was opened from. */
interface Fingerprint {
  /** Everything but the PIN's envelopes. */
  readonly ca: string;
  /** The envelopes alone; undefined where there are none. */
  readonly pins: string | undefined;
  readonly whole: string;
}

function fingerprintOf(issuer: Issuer): Fingerprint {
  const { signerUri, signatureAlgorithm = '', certificate, baseUrl, crlShardCount, sealedPins } = issuer;
  const ca = digestOfAll([signerUri, signatureAlgorithm, certificate, baseUrl, String(crlShardCount)]);
  const pins = Object.keys(sealedPins)
    .toSorted()
    .flatMap((region) => [region, sealedPins[region] ?? '']);
  return { ca, pins: pins.length === 0 ? undefined : digestOfAll(pins), whole: digestOfAll([ca, ...pins]) };
}

/** Of each one's digest: where one ends and the next begins is in it. */
function digestOfAll(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(createHash('sha256').update(part).digest());
  return hash.digest('hex');
}
