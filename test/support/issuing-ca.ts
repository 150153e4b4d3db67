import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { signCaCertificate } from '../../local/ca/certificate.ts';
import type { Issuer } from '../../shared/ledger/issuers.ts';

export interface IssuingCa {
  readonly privateKey: KeyObject;
  /** DER; self-signed. */
  readonly root: Uint8Array;
  readonly issuer: Issuer;
}

export interface IssuingCaOptions {
  readonly issuerId?: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** A root (P-256) and an issuing CA (RSA 2048, for the software signer). */
export function makeIssuingCa({ issuerId = 'devices', notBefore, notAfter }: IssuingCaOptions): IssuingCa {
  const rootKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const rootSigner = {
    publicKey: rootKey.publicKey,
    curve: 'P-256',
    sign: (tbsCertificate: Uint8Array) => sign('sha256', tbsCertificate, rootKey.privateKey),
  } as const;
  const common = { issuer: 'Test root', notBefore, notAfter };
  const root = signCaCertificate(
    { ...common, serialNumber: Uint8Array.of(1), subject: 'Test root', publicKey: rootKey.publicKey },
    rootSigner,
  );
  const certificate = signCaCertificate(
    {
      ...common,
      serialNumber: Uint8Array.of(2),
      subject: `Test issuing CA ${issuerId}`,
      publicKey: key.publicKey,
      pathLenConstraint: 0,
      issuerUrls: { certificate: 'http://ca.example.com/root.cer', crl: 'http://ca.example.com/root.crl' },
    },
    rootSigner,
  );
  return {
    privateKey: key.privateKey,
    root,
    issuer: {
      issuerId,
      state: 'active',
      certificate,
      chain: [root],
      signerUri: `pkcs11:token=test;object=${issuerId}`,
      clusterId: 'cluster-1234567890a',
      sealedPins: { 'eu-west-1': Uint8Array.of(1, 2, 3) },
      baseUrl: 'http://ca.example.com',
      crlShardCount: 16,
    },
  };
}
