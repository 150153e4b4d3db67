import type { Server } from 'node:http';
import { type Duplex, duplexPair } from 'node:stream';
import dynalite from 'dynalite';
import { buildApp } from 'fauxqs';

/**
 * An emulator in this process, everything in memory. It listens nowhere, so nobody can go round the gateway: dynalite
 * lets every web page read and write its tables.
 */
export interface Emulator {
  /** The client's end of a new HTTP/1.1 connection. */
  connect(): Duplex;
}

/**
 * DynamoDB, less transactions, point-in-time recovery and time to live: those calls are errors. Nothing to close: it has
 * no socket, file or timer.
 */
export function startDynalite(region: string): Emulator {
  const server = inRegion(region, () => dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 }));
  return { connect: () => connectTo(server) };
}

/** SQS, SNS and S3. `close` answers the long polls that are open. */
export async function startFauxqs(region: string): Promise<Emulator & { close(): Promise<void> }> {
  const app = buildApp({ logger: false, defaultRegion: region });
  await app.ready();
  return {
    connect: () => connectTo(app.server),
    close: async () => {
      await app.close();
    },
  };
}

function connectTo(server: Server): Duplex {
  const [client, other] = duplexPair();
  server.emit('connection', other);
  return client;
}

/** dynalite reads the Region of its ARNs from the environment, when it is made, and from nowhere else. */
function inRegion<T>(region: string, make: () => T): T {
  const { AWS_REGION: before } = process.env;
  process.env.AWS_REGION = region;
  try {
    return make();
  } finally {
    if (before === undefined) delete process.env.AWS_REGION;
    else process.env.AWS_REGION = before;
  }
}
