import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { GetPublicKeyCommand, type KMSClient } from '@aws-sdk/client-kms';
import { signCaCertificate } from '../../local/ca/certificate.ts';

/** A CA certificate of ten years for this public key, under a root that nobody has. */
export function certificateFor(publicKey: KeyObject): Uint8Array {
  const root = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [notBefore, notAfter] = [new Date('2026-01-01'), new Date('2036-01-01')];
  return signCaCertificate(
    { serialNumber: Uint8Array.of(1), issuer: 'Test root', subject: 'Test CA', publicKey, notBefore, notAfter },
    {
      publicKey: root.publicKey,
      curve: 'P-256',
      sign: (tbsCertificate: Uint8Array) => sign('sha256', tbsCertificate, root.privateKey),
    },
  );
}

/** As `certificateFor`, of a key in KMS. */
export async function certificateForKmsKey(kms: KMSClient, keyId: string): Promise<Uint8Array> {
  const { PublicKey: spki = new Uint8Array() } = await kms.send(new GetPublicKeyCommand({ KeyId: keyId }));
  return certificateFor(createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }));
}
