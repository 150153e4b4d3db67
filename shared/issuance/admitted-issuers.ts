import type { Admission, Gate } from '../breaker/index.ts';
import type { MintmarkError } from '../errors.ts';
import type { IssuerSource } from './authority.ts';
import type { KeyPair } from './key-checks/issuer-key.ts';
import type { OpenIssuer } from './open-issuers.ts';

/**
 * The issuers as one batch may use them: behind the breaker's gate, which is asked before a signer is opened, and hears
 * what came of opening it and of every certificate that it was to sign.
 */
export class AdmittedIssuers implements IssuerSource {
  readonly #issuers: IssuerSource;
  readonly #gate: Gate;
  /** One for each issuer that was opened: what is signed together is grouped by it. */
  readonly #observed = new Map<OpenIssuer, OpenIssuer>();
  /** Issuers whose refused PIN this batch may have sent again: it has one attempt, however many requests it holds. */
  readonly #sentAgain = new Set<string>();
  /**
   * Of issuers whose PIN is in doubt: what came of this batch's login, and nothing else of the issuer's signs in it, for the
   * signature is told to the breaker as the proof.
   */
  readonly #proved = new Map<string, Promise<OpenIssuer>>();

  readonly #onNewerPinError: (issuerId: string, error: MintmarkError) => void;

  /** @param onNewerPinError hears of an issuer whose signer goes on with an older PIN than its row has, and why; once */
  constructor(issuers: IssuerSource, gate: Gate, onNewerPinError: (issuerId: string, error: MintmarkError) => void) {
    this.#issuers = issuers;
    this.#gate = gate;
    this.#onNewerPinError = onNewerPinError;
  }

  requireActive(issuerId: string): Promise<void> {
    return this.#issuers.requireActive(issuerId);
  }

  keyPairs(): Promise<ReadonlySet<KeyPair>> {
    return this.#issuers.keyPairs();
  }

  /** @throws SignerPausedError, and what the issuers throw */
  async open(issuerId: string, deadline: number): Promise<OpenIssuer> {
    const admission = await this.#admit(issuerId);
    const { isProbe, sendsRefusedPinAgain } = admission;
    // Past the cache of issuers' rows: a new PIN's envelope may be why a signer is tried at all.
    const opening =
      isProbe || sendsRefusedPinAgain
        ? this.#openNow(issuerId, deadline, admission)
        : this.#issuers.open(issuerId, deadline);
    return this.#observe(issuerId, opening);
  }

  async openNow(issuerId: string, deadline: number): Promise<OpenIssuer> {
    const admission = await this.#admit(issuerId);
    return this.#observe(issuerId, this.#openNow(issuerId, deadline, admission));
  }

  /** A retired issuer is not asked for its breaker: that it is retired is why it does not sign, and no probe is spent on it. */
  async #admit(issuerId: string): Promise<Admission> {
    await this.#issuers.requireActive(issuerId);
    return this.#gate.admit(issuerId);
  }

  #openNow(issuerId: string, deadline: number, { provesPin, sendsRefusedPinAgain }: Admission): Promise<OpenIssuer> {
    if (provesPin) {
      const proved = this.#proved.get(issuerId) ?? this.#issuers.openNow(issuerId, deadline, 'is-proved');
      this.#proved.set(issuerId, proved);
      return proved;
    }
    const isFirst = sendsRefusedPinAgain && !this.#sentAgain.has(issuerId);
    if (isFirst) this.#sentAgain.add(issuerId);
    return this.#issuers.openNow(issuerId, deadline, isFirst ? 'is-sent-again' : 'stays-refused');
  }

  async #observe(issuerId: string, opening: Promise<OpenIssuer>): Promise<OpenIssuer> {
    try {
      const issuer = await opening;
      const observed = this.#observed.get(issuer);
      if (observed !== undefined) return observed;
      if (issuer.newerPinError !== undefined) this.#tellNewerPinError(issuerId, issuer.newerPinError);
      const observing = observe(issuer, issuerId, this.#gate);
      this.#observed.set(issuer, observing);
      return observing;
    } catch (error) {
      this.#gate.noteError(issuerId, error);
      throw error;
    }
  }

  /**
   * This batch is signed with the older PIN, and a newer one that was refused holds the breaker all the same, which stops
   * this environment with the others: each of them would send it once, and a handful of wrong logins locks the user out;
   * nor can messages be had delivered to those alone that still have a session. Any other error holds nothing.
   */
  #tellNewerPinError(issuerId: string, error: MintmarkError): void {
    this.#gate.noteError(issuerId, error);
    this.#onNewerPinError(issuerId, error);
  }
}

const observe = (issuer: OpenIssuer, issuerId: string, gate: Gate): OpenIssuer => ({
  ...issuer,
  certify: async (tbsCertificates, deadline) => {
    const certified = await issuer.certify(tbsCertificates, deadline).catch((error: unknown) => {
      gate.noteError(issuerId, error);
      throw error;
    });
    for (const one of certified) {
      if ('error' in one) gate.noteError(issuerId, one.error);
      else gate.noteSigned(issuerId);
    }
    return certified;
  },
});
