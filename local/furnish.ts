import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { KMSClient } from '@aws-sdk/client-kms';
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { canaryPinPurpose, encryptCanary, writeCanary } from '../shared/cluster/index.ts';
import { Issuers } from '../shared/ledger/index.ts';
import { sealPin } from '../shared/signer/index.ts';
import { createLocalKeysInChild } from './ca/child.ts';
import { createKmsSigningKey } from './ca/kms-key.ts';
import type { GivenIssuingKey } from './ca/local-ca.ts';
import type { RunningStub } from './stub-process.ts';

/** A deployed stage that has no CA yet. */
export interface Unfurnished {
  readonly region: string;
  readonly stage: string;
  /** Where the bucket's objects are served from: http, without a slash at the end. */
  readonly baseUrl: string;
  readonly publicBucket: string;
  readonly issuersTable: string;
  readonly clients: { readonly dynamoDB: DynamoDBClient; readonly s3: S3Client; readonly kms: KMSClient };
  readonly stub: RunningStub;
  readonly tokens: { readonly directory: string; readonly library: string };
  readonly signer: LocalSigner;
}

/**
 * Where the issuing CA's key is: in a SoftHSM2 token through PKCS#11, in KMS, or in KMS's custom key store, which AWS (and
 * the stub, unless it is told otherwise) refuses.
 */
export type LocalSigner = 'pkcs11' | 'awskms' | 'awskms-cloudhsm';

export interface Furniture {
  /** DER. */
  readonly rootCertificate: Uint8Array;
  readonly issuingCertificate: Uint8Array;
  /** Of the issuing CA's key. */
  readonly signerUri: string;
}

/** The issuer that profiles/*.yaml name. */
const issuerId = 'devices';
const crlShardCount = 4;

/**
 * What the operator does by hand at AWS, once for a stage: makes root, issuing CA and canary key (in SoftHSM2), publishes
 * the CA certificates, seals the PINs under the custom key store's key, and writes the issuer's and the canary's rows.
 */
export async function furnish(stage: Unfurnished): Promise<Furniture> {
  const { clients, stub, region, baseUrl } = stage;
  const issuingKey = await issuingKeyInKms(stage);
  const { localCa, canary } = await createLocalKeysInChild({
    ...stage.tokens,
    baseUrl,
    issuerId,
    crlShardCount,
    now: Date.now(),
    ...(issuingKey === undefined ? {} : { issuingKey }),
  });
  await publishCertificates(stage, localCa);
  const { pin } = localCa;
  const purpose = { clusterId: stub.clusterId, issuerId, stage: stage.stage };
  await new Issuers(clients.dynamoDB, stage.issuersTable).add({
    issuerId,
    state: 'active',
    certificate: localCa.issuingCertificate,
    chain: [localCa.rootCertificate],
    signerUri: localCa.signerUri,
    ...(pin === undefined ? {} : { clusterId: stub.clusterId }),
    sealedPins: pin === undefined ? {} : { [region]: await sealPin(clients.kms, stub.sealingKeyArn, pin, purpose) },
    baseUrl,
    crlShardCount,
  });
  const watched = { clusterId: stub.clusterId, stage: stage.stage };
  await writeCanary(clients.dynamoDB, stage.issuersTable, region, {
    clusterId: stub.clusterId,
    customKeyStoreId: stub.customKeyStoreId,
    ciphertext: await encryptCanary(clients.kms, stub.sealingKeyArn, watched),
    signerUri: canary.signerUri,
    publicKey: canary.publicKey,
    sealedPin: await sealPin(
      clients.kms,
      stub.sealingKeyArn,
      canary.pin,
      canaryPinPurpose(stub.clusterId, stage.stage),
    ),
  });
  const { rootCertificate, issuingCertificate, signerUri } = localCa;
  return { rootCertificate, issuingCertificate, signerUri };
}

/** Nothing for a key that is made in a token. */
async function issuingKeyInKms({ signer, clients, stub }: Unfurnished): Promise<GivenIssuingKey | undefined> {
  switch (signer) {
    case 'pkcs11':
      return undefined;
    case 'awskms':
      return createKmsSigningKey(clients.kms);
    case 'awskms-cloudhsm':
      return createKmsSigningKey(clients.kms, stub.customKeyStoreId);
  }
}

async function publishCertificates(
  { clients, publicBucket }: Unfurnished,
  ca: Omit<Furniture, 'signerUri'>,
): Promise<void> {
  for (const [key, body] of [
    [`ca/${issuerId}.cer`, ca.issuingCertificate],
    [`ca/${issuerId}-root.cer`, ca.rootCertificate],
  ] as const) {
    // RFC 5280 section 4.2.2.1: application/pkix-cert
    const object = { Bucket: publicBucket, Key: key, Body: body, ContentType: 'application/pkix-cert' };
    await clients.s3.send(new PutObjectCommand(object));
  }
}
