import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import dynalite from 'dynalite';
import { buildApp } from 'fauxqs';

/** An emulator in this process: loopback, a port of its own, everything in memory. */
export interface Emulator {
  readonly url: URL;
  close(): Promise<void>;
}

/** DynamoDB, less transactions, point-in-time recovery and time to live: those calls are errors. */
export async function startDynalite(): Promise<Emulator> {
  const server = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined || error === null ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

/** SQS, SNS and S3. `startFauxqs` would listen on every address of the machine. */
export async function startFauxqs(region: string): Promise<Emulator> {
  const app = buildApp({ logger: false, defaultRegion: region });
  const url = new URL(await app.listen({ host: '127.0.0.1', port: 0 }));
  return {
    url,
    close: async () => {
      await app.close();
    },
  };
}
