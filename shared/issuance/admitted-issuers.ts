import type { Gate } from '../breaker/index.ts';
import type { Signer } from '../signer/index.ts';
import type { IssuerSource } from './authority.ts';
import type { OpenIssuer } from './open-issuers.ts';

/**
 * The issuers as one batch may use them: behind the breaker's gate, which is asked before a signer is opened, and hears
 * what came of opening it and of every signature.
 */
export class AdmittedIssuers implements IssuerSource {
  readonly #issuers: IssuerSource;
  readonly #gate: Gate;
  /** One for each issuer that was opened: what is signed together is grouped by it. */
  readonly #observed = new Map<OpenIssuer, OpenIssuer>();

  constructor(issuers: IssuerSource, gate: Gate) {
    this.#issuers = issuers;
    this.#gate = gate;
  }

  /** @throws SignerPausedError, and what the issuers throw */
  async open(issuerId: string, deadline: number): Promise<OpenIssuer> {
    const { state } = await this.#gate.admit(issuerId);
    // A probe looks at the issuer's row past the cache: a new PIN's envelope may be why it is tried at all.
    const opening =
      state === 'closed' ? this.#issuers.open(issuerId, deadline) : this.#issuers.openNow(issuerId, deadline);
    return this.#observe(issuerId, opening);
  }

  async openNow(issuerId: string, deadline: number): Promise<OpenIssuer> {
    await this.#gate.admit(issuerId);
    return this.#observe(issuerId, this.#issuers.openNow(issuerId, deadline));
  }

  async #observe(issuerId: string, opening: Promise<OpenIssuer>): Promise<OpenIssuer> {
    try {
      const issuer = await opening;
      const observed = this.#observed.get(issuer) ?? {
        ...issuer,
        signer: observe(issuer.signer, issuerId, this.#gate),
      };
      this.#observed.set(issuer, observed);
      return observed;
    } catch (error) {
      this.#gate.noteError(issuerId, error);
      throw error;
    }
  }
}

function observe(signer: Signer, issuerId: string, gate: Gate): Signer {
  const { uri, scheme, publicKey } = signer;
  return {
    uri,
    scheme,
    publicKey,
    sign: async (digests, deadline) => {
      const results = await signer.sign(digests, deadline);
      for (const result of results) {
        if ('error' in result) gate.noteError(issuerId, result.error);
        else gate.note(issuerId, { kind: 'signed' });
      }
      return results;
    },
    close: () => signer.close(),
  };
}
