import { createHash } from 'node:crypto';
import { MintmarkError } from '../errors.ts';
import type { Issuer, Issuers } from '../ledger/index.ts';
import type { Signer } from '../signer/index.ts';
import type { RefusedPin } from './authority.ts';
import { type Certified, certify } from './certify.ts';
import { type IssuerCertificate, readIssuerCertificate } from './issuer-certificate.ts';
import type { Profile } from './profile.ts';
import { type TbsIssuer, tbsTemplate } from './tbs.ts';

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
}

/** An issuer's row may be read from memory for this long (milliseconds): so long can retiring one take to be seen. */
const cacheLifetime = 60_000;

export interface OpenIssuersOptions {
  readonly issuers: Issuers;
  /** Opens the signer of an issuer; `deadline` in milliseconds since the epoch. */
  readonly openSigner: (issuer: Issuer, certificate: IssuerCertificate, deadline: number) => Promise<Signer>;
  readonly now: () => number;
}

interface OpenedSigner {
  readonly fingerprint: string;
  readonly signer: Promise<Signer>;
  readonly opened: Promise<OpenIssuer>;
  /** Its PIN was refused: that answer stands. */
  isRefused: boolean;
}

/** The issuers of this process: rows cached, signers opened at first need and kept while their row stays the same. */
export class OpenIssuers {
  readonly #options: OpenIssuersOptions;
  readonly #rows = new Map<string, { readonly issuer: Issuer | undefined; readonly readAt: number }>();
  readonly #opened = new Map<string, OpenedSigner>();
  readonly #closing: Promise<void>[] = [];

  constructor(options: OpenIssuersOptions) {
    this.#options = options;
  }

  /**
   * An active issuer with its signer open.
   * @param deadline milliseconds since the epoch
   * @throws MintmarkError ISSUER_NOT_ACTIVE, CONFIGURATION_INVALID, the signer's, the store's
   */
  async open(issuerId: string, deadline: number): Promise<OpenIssuer> {
    const issuer = await this.#read(issuerId);
    if (issuer?.state !== 'active') {
      const state = issuer === undefined ? 'is not in the issuers table' : 'is retired';
      throw new MintmarkError('ISSUER_NOT_ACTIVE', `The issuer ${issuerId} ${state}.`);
    }
    const fingerprint = fingerprintOf(issuer);
    const standing = this.#opened.get(issuerId);
    if (standing?.fingerprint === fingerprint) return standing.opened;
    const opening = this.#openSigner(issuer, fingerprint, deadline);
    this.#opened.set(issuerId, opening);
    try {
      return await opening.opened;
    } catch (error) {
      // What failed is tried again, but for a PIN that was refused: sent again and again it locks the crypto user out,
      // so that answer stands until the row holds another one, or until somebody says that it may be sent again.
      opening.isRefused = error instanceof MintmarkError && error.code === 'SIGNER_PIN_REFUSED';
      if (!opening.isRefused && this.#opened.get(issuerId) === opening) this.#opened.delete(issuerId);
      // Whoever asks next does so because somebody says that it holds one by now.
      if (opening.isRefused) this.#rows.delete(issuerId);
      throw error;
    } finally {
      // Not waited for: a signer that hangs has five seconds to close, which are not this request's.
      this.#closing.push(closed(standing));
    }
  }

  /**
   * As `open`, after reading the issuer's row past the cache.
   * @param refusedPin what of a PIN that was refused and is still the row's
   */
  openNow(issuerId: string, deadline: number, refusedPin: RefusedPin = 'stays-refused'): Promise<OpenIssuer> {
    this.#rows.delete(issuerId);
    // One that is being opened is left: its attempt is the one.
    if (refusedPin === 'is-sent-again' && this.#opened.get(issuerId)?.isRefused) this.#opened.delete(issuerId);
    return this.open(issuerId, deadline);
  }

  async close(): Promise<void> {
    const standing = [...this.#opened.values()];
    this.#opened.clear();
    await Promise.all([...this.#closing, ...standing.map(closed)]);
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

  #openSigner(issuer: Issuer, fingerprint: string, deadline: number): OpenedSigner {
    // In a promise: a certificate that cannot be read is an answer like the signer's.
    const read = Promise.resolve().then(() => readIssuerCertificate(issuer.issuerId, issuer.certificate));
    const signer = read.then((certificate) => this.#options.openSigner(issuer, certificate, deadline));
    const opened = Promise.all([read, signer]).then(([certificate, open]) => openIssuer(issuer, certificate, open));
    return { fingerprint, signer, opened, isRefused: false };
  }
}

function openIssuer(issuer: Issuer, certificate: IssuerCertificate, signer: Signer): OpenIssuer {
  const { issuerId, baseUrl, crlShardCount } = issuer;
  const tbsIssuer: TbsIssuer = { issuerId, certificate, scheme: signer.scheme, baseUrl, crlShardCount };
  const templates = new Map<string, ReturnType<typeof tbsTemplate>>();
  return {
    tbsIssuer,
    certify: (tbsCertificates, deadline) => certify(signer, certificate.publicKey, tbsCertificates, deadline),
    templateOf: (profile) => {
      const template = templates.get(profile.hash) ?? tbsTemplate(tbsIssuer, profile);
      templates.set(profile.hash, template);
      return template;
    },
  };
}

/** What a signer was opened from: the key, its certificate and the PIN's envelopes. */
function fingerprintOf(issuer: Issuer): string {
  const hash = createHash('sha256')
    .update(issuer.signerUri)
    .update(issuer.signatureAlgorithm ?? '')
    .update(issuer.certificate);
  for (const region of Object.keys(issuer.sealedPins).sort())
    hash.update(region).update(issuer.sealedPins[region] ?? '');
  return hash.update(issuer.baseUrl).update(String(issuer.crlShardCount)).digest('hex');
}

async function closed(standing: OpenedSigner | undefined): Promise<void> {
  if (standing === undefined) return;
  // One that never opened has nothing to close, and its error went to those who asked for it.
  const signer = await standing.signer.catch(() => undefined);
  await signer?.close();
}
