import type { AddressInfo } from 'node:net';
import * as z from 'zod';
import type { Admin } from './admin.ts';
import { makeClusterCertificates } from './cloudhsm/certificates.ts';
import type { Context } from './context.ts';
import { type FaultRequest, faultSchema, setFaults } from './faults.ts';
import { type Seed, seed } from './seed.ts';
import { createStubServer, type Log } from './server.ts';
import { emptyState, type Signature } from './state.ts';
import { createSoftHsmToken, type SoftHsmOptions } from './token.ts';

export interface StubOptions {
  readonly token: SoftHsmOptions;
  /** On 127.0.0.1; 0 takes a free one. */
  readonly port: number;
  readonly region: string;
  readonly accountId: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly randomBytes: (length: number) => Buffer;
  readonly log?: Log;
  /** Lets custom key stores take signing keys, which AWS's do not; false when absent. */
  readonly allowAsymmetricKeysInCustomKeyStores?: boolean;
}

export interface Stub extends Seed {
  /** Serves both KMS and CloudHSM v2, such as http://127.0.0.1:45123. */
  readonly endpoint: string;
  /** Every signature so far, oldest first; what `GET /_stub/signatures` gives to other processes. */
  signatures(): readonly Signature[];
  /**
   * Faults in place of those pending; what `POST /_stub/faults` does for other processes.
   * @throws AdminError for an operation that the stub does not have
   */
  setFaults(faults: readonly FaultRequest[]): void;
  stop(): Promise<void>;
}

/** Starts the stub with its first cluster, key store and sealing key. One at a time in a process. */
export async function startStub(options: StubOptions): Promise<Stub> {
  const token = createSoftHsmToken(options.token, options.randomBytes);
  try {
    const state = emptyState();
    const context = (): Context => ({
      region: options.region,
      accountId: options.accountId,
      now: options.now() + state.clockOffset,
      randomBytes: options.randomBytes,
      token,
      allowAsymmetricKeysInCustomKeyStores: options.allowAsymmetricKeysInCustomKeyStores ?? false,
    });
    const certificates = makeClusterCertificates(options.now(), options.randomBytes);
    const admin: Admin = { state, seed: seed(state, certificates, context()), context };
    const stopping = new AbortController();
    const server = createStubServer(admin, options.log ?? (() => undefined), stopping.signal);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port, '127.0.0.1', resolve);
    });
    const { port } = server.address() as AddressInfo;
    return {
      ...admin.seed,
      endpoint: `http://127.0.0.1:${port}`,
      signatures: () => state.signatures,
      setFaults: (faults) => setFaults(state, z.array(faultSchema).parse(faults)),
      async stop() {
        stopping.abort(new Error('The stub is stopped.'));
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        server.closeAllConnections();
        await closed;
        token.close();
      },
    };
  } catch (error) {
    token.close();
    throw error;
  }
}
