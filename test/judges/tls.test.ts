import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type IssuedCertificates, issueCertificates, keyTypes } from './issued-certificates.ts';
import { goJudges, withoutGo } from './judges.ts';
import {
  handshake,
  type Identity,
  serialNumberOf,
  startGoServer,
  startNodeServer,
  startOpensslServer,
  type TlsServer,
  type TlsVersion,
} from './tls-servers.ts';

/** Clients that are to be refused. */
type Refused = 'without a certificate' | 'that expired' | 'of another CA' | 'for servers';

interface Stack {
  readonly name: string;
  /** Why it is not asked. */
  readonly skip?: string | undefined;
  readonly start: (identity: Identity) => Promise<TlsServer>;
  /** What it says of each. */
  readonly reasons: Readonly<Record<Refused, RegExp>>;
}

/** All of them take every key type of a profile, with TLS 1.2 and 1.3; one that did not would have to be excepted here. */
const stacks: readonly Stack[] = [
  {
    name: 'openssl s_server',
    start: startOpensslServer,
    reasons: {
      'without a certificate': /peer did not return a certificate/,
      'that expired': /certificate has expired/,
      'of another CA': /unable to get local issuer certificate/,
      'for servers': /unsuitable certificate purpose/,
    },
  },
  {
    name: "Node's tls",
    start: startNodeServer,
    reasons: {
      'without a certificate': /peer did not return a certificate/,
      'that expired': /^CERT_HAS_EXPIRED$/,
      'of another CA': /^UNABLE_TO_GET_ISSUER_CERT_LOCALLY$/,
      'for servers': /^INVALID_PURPOSE$/,
    },
  },
  {
    name: "Go's crypto/tls",
    skip: withoutGo,
    start: (identity) => startGoServer(goJudges().go, identity),
    reasons: {
      'without a certificate': /^refused tls: client didn't provide a certificate$/,
      'that expired': /^refused .* x509: certificate has expired or is not yet valid/,
      'of another CA': /^refused .* x509: certificate signed by unknown authority/,
      'for servers': /^refused .* x509: certificate specifies an incompatible key usage/,
    },
  },
];

const versions: readonly TlsVersion[] = ['TLSv1.2', 'TLSv1.3'];

let issued: IssuedCertificates;
beforeAll(async () => {
  issued = await issueCertificates(Date.now());
});

const refused: Readonly<Record<Refused, () => Identity | undefined>> = {
  'without a certificate': () => undefined,
  'that expired': () => issued.expired,
  'of another CA': () => issued.stranger,
  'for servers': () => issued.server,
};

for (const { name, skip, start, reasons } of stacks) {
  describe.skipIf(skip !== undefined)(`${name}${skip ?? ''}`, () => {
    let server: TlsServer;
    beforeAll(async () => {
      server = await start(issued.server);
    });
    afterAll(() => server.stop());

    const connect = (version: TlsVersion, identity: Identity | undefined) =>
      handshake(server.port, version, issued.server.hierarchy.root, identity);

    describe.each(versions)('%s', (version) => {
      it.each(keyTypes)('takes a client certificate with a key %s', async (keyType) => {
        const identity = issued.fleet.find((each) => each.keyType === keyType);
        if (identity === undefined) throw new Error(`No certificate with a key ${keyType}`);
        expect(await connect(version, identity)).toBe(`accepted ${serialNumberOf(identity)}`);
      });

      it.each(Object.keys(refused) as Refused[])('refuses a client: one %s', async (client) => {
        const before = server.said().length;
        expect(await connect(version, refused[client]())).not.toMatch(/^accepted/);
        // The client may know before the server has said it.
        await expect
          .poll(() => server.said().slice(before), { timeout: 10_000 })
          .toContainEqual(expect.stringMatching(reasons[client]));
      });
    });
  });
}
