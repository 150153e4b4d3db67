import { asMintmarkError, type ErrorCode, MintmarkError } from '../errors.ts';
import type { Breakers } from './breakers.ts';
import { probeFor } from './decide.ts';
import { awayCodes, unsealFailed } from './outages.ts';
import { SignerPausedError } from './paused.ts';
import { absentRecord, type BreakerRecord } from './record.ts';
import { type BreakerTimes, breakerTimes } from './times.ts';

/** How a batch may ask an issuer's signer. */
export interface Admission {
  /** It is one of the few that try a signer that was away. */
  readonly isProbe: boolean;
  /**
   * A PIN that was refused to this process may be sent once more, the same one too: its user may have been repaired in the
   * HSM, which changes nothing of the issuer's row. So a probe always asks the HSM; and where the breaker has changed
   * since the refusal and is closed by now, another process's probe has signed.
   */
  readonly sendsRefusedPinAgain: boolean;
  /**
   * A PIN is in doubt: the signer is to be opened anew, with a login, also where one is open. A session from before would
   * sign, and show nothing: everybody else would then log in at once with a PIN that is still the wrong one.
   */
  readonly provesPin: boolean;
}

/** A change of state that this process made. */
export interface BreakerChange {
  readonly from: BreakerRecord;
  readonly to: BreakerRecord;
}

/** So many batches in a row without a signature open the breaker. */
export const failuresToOpen = 3;

/** How often a change is tried again because another worker changed the breaker in between. */
const maximumContention = 5;

/**
 * What says that the signer is of no use, for every request alike: away, or signing what does not verify. Another code
 * says something of a request or an issuer, or, where a PIN cannot be unsealed, of one environment: those that have theirs
 * sign on while the key store is away, so that code opens a breaker only while nobody signs.
 */
const uselessCodes: ReadonlySet<ErrorCode> = new Set([...awayCodes, 'SIGNATURE_WRONG']);

/** Of a probe these count too: it was to say whether the signer can be used, and this is an answer. */
const hindrances: ReadonlySet<ErrorCode> = new Set(['SIGNER_MISCONFIGURED', unsealFailed, 'PIN_UNSEAL_REFUSED']);

/** Another attempt with the same PIN could lock the crypto user out, so this one holds at once. */
const refusedPin: ErrorCode = 'SIGNER_PIN_REFUSED';

/** A breaker's row that is none (readBreaker), as against one that cannot be had. */
const unreadable: ErrorCode = 'INTERNAL';

/** What one batch's attempts at an issuer's certificates came to. */
interface Tally {
  signed: number;
  wrong: number;
  /** The last one that says that the signer is of no use. */
  outage?: MintmarkError;
  hindrance?: MintmarkError;
}

/**
 * What a batch says of the signer in the end; undefined when nothing. Pure.
 *
 * A signature outweighs what failed beside it: the signer is there. But not a wrong signature: that is an HSM that lies, and
 * how often is chance. A probe takes none, for the breaker that it closes lets everybody in; a batch of a closed breaker
 * fails where at least half of its signatures are wrong, since fewer cost those requests another delivery and have an alarm of
 * their own, and a stop costs everybody's.
 */
function verdictOf(
  { signed, wrong, outage, hindrance }: Tally,
  isProbe: boolean,
): 'signed' | MintmarkError | undefined {
  const liesTooOften = isProbe ? wrong > 0 : wrong > 0 && wrong >= signed;
  if (signed > 0 && !liesTooOften) return 'signed';
  return outage ?? (isProbe || hindrance?.code === unsealFailed ? hindrance : undefined);
}

export interface GatekeeperOptions {
  readonly breakers: Breakers;
  /** The shortest wait of a message while a breaker is open. */
  readonly pausedSeconds: number;
  /** Between two looks of check-signer. */
  readonly checkSignerSeconds: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Hears of a record that could not be read or written; nothing else comes of it. */
  readonly onError: (error: MintmarkError) => void;
}

/** What a process keeps of the breakers from one batch to the next, by issuer. */
interface Memory {
  /** As it was read, or as this process then left it. */
  readonly lastRead: Map<string, BreakerRecord>;
  /** The record's revision when a PIN was last refused to this process. */
  readonly refusedAt: Map<string, number>;
}

/** The breakers as a process that signs meets them; made once, with a gate for each batch. */
export class Gatekeeper {
  readonly #options: GatekeeperOptions;
  readonly #memory: Memory = { lastRead: new Map(), refusedAt: new Map() };

  constructor(options: GatekeeperOptions) {
    this.#options = options;
  }

  /** @param batchId no other batch's, of whichever process: a failed batch is counted once under it */
  newGate(batchId: string): Gate {
    return new Gate(this.#options, this.#memory, batchId);
  }
}

/** With the record that it is told to in the end. */
interface Admitted extends Admission {
  readonly record: BreakerRecord;
}

/**
 * One batch's way to the signers: each issuer's record is read once, when its signer is first needed, and told at the end
 * what came of it. While all is well that is one strongly consistent read for each issuer, and no write.
 */
export class Gate {
  readonly #options: GatekeeperOptions;
  readonly #times: BreakerTimes;
  readonly #memory: Memory;
  readonly #batchId: string;
  readonly #admitted = new Map<string, Promise<Admitted>>();
  readonly #tallies = new Map<string, Tally>();
  /** Of issuers whose PIN was refused: what came of saying so. */
  readonly #holds = new Map<string, Promise<BreakerChange[]>>();

  constructor(options: GatekeeperOptions, memory: Memory, batchId: string) {
    this.#options = options;
    this.#times = breakerTimes(options.checkSignerSeconds);
    this.#memory = memory;
    this.#batchId = batchId;
  }

  /**
   * Lets this batch ask the issuer's signer; the same answer to everyone who asks in it.
   * @throws SignerPausedError
   */
  admit(issuerId: string): Promise<Admission> {
    const admitted = this.#admitted.get(issuerId) ?? this.#admit(issuerId);
    this.#admitted.set(issuerId, admitted);
    return admitted;
  }

  /** Notes a signature that the issuer's public key verifies. */
  noteSigned(issuerId: string): void {
    this.#tallyOf(issuerId).signed++;
  }

  /**
   * Notes what was thrown on the way to a signature, if it counts against the signer. A refused PIN is told to the record
   * at once, whatever was signed beside it: each environment that logs in until then sends it once more.
   */
  noteError(issuerId: string, thrown: unknown): void {
    const error = asMintmarkError(thrown);
    const { code } = error;
    if (code === refusedPin) {
      if (!this.#holds.has(issuerId)) this.#holds.set(issuerId, this.#holdRefused(issuerId, error));
      return;
    }
    const tally = this.#tallyOf(issuerId);
    if (code === 'SIGNATURE_WRONG') tally.wrong++;
    // Of several outages a wrong signature is the one to be told of.
    if (uselessCodes.has(code) && tally.outage?.code !== 'SIGNATURE_WRONG') tally.outage = error;
    if (hindrances.has(code)) tally.hindrance = error;
  }

  /** Tells the records; once, when the batch is done. What cannot be written is lost: the next batch will say it again. */
  async report(): Promise<BreakerChange[]> {
    const told = [...this.#tallies].map(async ([issuerId, tally]) => {
      const admitted = this.#admitted.get(issuerId);
      if (admitted === undefined || this.#holds.has(issuerId)) return [];
      return this.#written(issuerId, async () => {
        const { record } = await admitted;
        const verdict = verdictOf(tally, record.state === 'half-open');
        return verdict === undefined ? [] : this.#tell(record, verdict);
      });
    });
    return (await Promise.all([...this.#holds.values(), ...told])).flat();
  }

  #tallyOf(issuerId: string): Tally {
    const tally = this.#tallies.get(issuerId) ?? { signed: 0, wrong: 0 };
    this.#tallies.set(issuerId, tally);
    return tally;
  }

  /** Never throws: nobody waits for it before `report`. */
  async #holdRefused(issuerId: string, error: MintmarkError): Promise<BreakerChange[]> {
    return this.#written(issuerId, async () => {
      const admitted = await this.#admitted.get(issuerId);
      if (admitted === undefined) return [];
      const { record } = admitted;
      this.#memory.refusedAt.set(issuerId, record.revision);
      return this.#hold(record, { reason: error.code, detail: error.message });
    });
  }

  async #written(issuerId: string, write: () => Promise<BreakerChange[]>): Promise<BreakerChange[]> {
    try {
      const changes = await write();
      for (const { to } of changes) this.#memory.lastRead.set(issuerId, to);
      return changes;
    } catch (error) {
      this.#options.onError(asMintmarkError(error));
      return [];
    }
  }

  async #admit(issuerId: string): Promise<Admitted> {
    const { pausedSeconds, now } = this.#options;
    const { record, isPresent } = await this.#read(issuerId);
    if (record.state === 'closed') {
      const refusedAt = this.#memory.refusedAt.get(issuerId);
      const hasChanged = isPresent && refusedAt !== undefined && refusedAt !== record.revision;
      return { record, isProbe: false, sendsRefusedPinAgain: hasChanged, provesPin: false };
    }
    const probing = await this.#takeProbe(record);
    if (probing === undefined) throw new SignerPausedError(record, pausedSeconds, now());
    this.#memory.lastRead.set(issuerId, probing);
    const provesPin = probing.isPinDoubtful === true;
    return { record: probing, isProbe: true, sendsRefusedPinAgain: true, provesPin };
  }

  /** Undefined where there is none for this batch, and where the table does not say: nobody tries who was not let. */
  async #takeProbe(record: BreakerRecord): Promise<BreakerRecord | undefined> {
    const { breakers, now, onError } = this.#options;
    const probe = probeFor(record, now(), this.#times);
    try {
      if (probe === 'given') return await breakers.takeProbe(record, now());
      if (probe === 'unaided') return await breakers.probeUnaided(record, now());
    } catch (error) {
      onError(asMintmarkError(error));
    }
    return undefined;
  }

  /**
   * The breaker saves tries, it is no permission to sign: where its record cannot be read, what was last read of it
   * stands, and a batch that could issue is not stopped for want of it. (A table that is really down stops it soon enough:
   * the issuer's own row is in it.) A row that is none stops nobody either, nor ever: what was read before it became so
   * would stand until somebody mends it.
   */
  async #read(issuerId: string): Promise<{ readonly record: BreakerRecord; readonly isPresent: boolean }> {
    const { lastRead } = this.#memory;
    try {
      const record = await this.#options.breakers.read(issuerId);
      lastRead.set(issuerId, record);
      return { record, isPresent: true };
    } catch (thrown) {
      const error = asMintmarkError(thrown);
      this.#options.onError(error);
      if (error.code === unreadable) lastRead.delete(issuerId);
      return { record: lastRead.get(issuerId) ?? absentRecord(issuerId), isPresent: false };
    }
  }

  async #tell(admitted: BreakerRecord, verdict: 'signed' | MintmarkError): Promise<BreakerChange[]> {
    const { breakers, now } = this.#options;
    const changed = (to: BreakerRecord | undefined): BreakerChange[] =>
      to === undefined ? [] : [{ from: admitted, to }];
    if (verdict === 'signed') {
      this.#memory.refusedAt.delete(admitted.issuerId);
      if (admitted.state === 'half-open') return changed(await breakers.close(admitted, now()));
      if (admitted.failures > 0 || admitted.unsealFailures > 0) await breakers.forgetFailures(admitted);
      return [];
    }
    const why = { reason: verdict.code, detail: verdict.message };
    if (admitted.state === 'half-open') return changed(await breakers.open(admitted, why, failuresToOpen, now()));
    if (verdict.code === unsealFailed) return this.#tellUnsealFailure(admitted, why);
    const isEnough = admitted.failures >= failuresToOpen;
    const counted = isEnough ? admitted : await breakers.countFailure(admitted, this.#batchId);
    if (counted === undefined || counted.failures < failuresToOpen) return [];
    return changed(await breakers.open(counted, why, failuresToOpen, now()));
  }

  /**
   * In an outage of the whole cluster an environment that starts in it gets no further than this. Enough of them open the
   * breaker, but not while anybody signs: a batch that does forgets the count.
   */
  async #tellUnsealFailure(
    admitted: BreakerRecord,
    why: { reason: ErrorCode; detail: string },
  ): Promise<BreakerChange[]> {
    const { breakers, now } = this.#options;
    const isEnough = admitted.unsealFailures >= failuresToOpen;
    const counted = isEnough ? admitted : await breakers.countUnsealFailure(admitted, this.#batchId, now());
    if (counted === undefined || counted.unsealFailures < failuresToOpen) return [];
    if (now() - (counted.unsealFailingSince ?? now()) < this.#times.unsealFailuresOpen) return [];
    const to = await breakers.openUnsealed(counted, why, failuresToOpen, now());
    return to === undefined ? [] : [{ from: admitted, to }];
  }

  /**
   * Whatever has become of the breaker since: opened by another batch, it would be closed by the canary; closed by a probe
   * or resumed, everybody would log in; held by an operator, it would be resumed without a thought of the PIN.
   */
  async #hold(admitted: BreakerRecord, why: { reason: ErrorCode; detail: string }): Promise<BreakerChange[]> {
    const { breakers, now } = this.#options;
    const { issuerId } = admitted;
    let read = admitted;
    for (let contention = 0; contention < maximumContention; contention++) {
      // In doubt for another reason, it was paused meanwhile: whoever did that is to hear of the PIN.
      if (read.held && read.isPinDoubtful && read.reason === why.reason) return [];
      const to = await (read.held ? breakers.doubt(read, why, now()) : breakers.hold(read, why, now()));
      if (to !== undefined) return [{ from: read, to }];
      read = await breakers.read(issuerId);
    }
    // The PIN stays refused here, so the next batch says it again.
    throw new MintmarkError('STORE_UNAVAILABLE', `Others keep changing the breaker of ${issuerId}.`);
  }
}
