import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { createRequire } from 'node:module';
import type * as Pkcs11js from 'pkcs11js';
import { ecdsaSignatureToDer, formatPkcs11Uri } from '../../shared/signer/index.ts';
import { generateKeyPair } from '../softhsm/key-pair.ts';
import {
  createToken,
  type TokenEnvironment,
  type TokenOptions,
  type TokenSession,
  withToken,
} from '../softhsm/token.ts';
import { type CaKey, signCaCertificate } from './certificate.ts';

export interface LocalCaOptions {
  /** Of the tokens; made if absent. */
  readonly directory: string;
  /** Path of libsofthsm2.so. */
  readonly library: string;
  /** Where CA certificates and CRLs are published; plain http, no slash at the end. */
  readonly baseUrl: string;
  /** Lower-case letters, digits and hyphens; part of URLs and names. */
  readonly issuerId: string;
  readonly crlShardCount: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The issuing CA's key, where it is elsewhere already; absent: one is made in a token. */
  readonly issuingKey?: GivenIssuingKey;
}

/** A key that somebody else holds, and signs with. */
export interface GivenIssuingKey {
  readonly signerUri: string;
  /** DER SubjectPublicKeyInfo */
  readonly publicKey: Uint8Array;
}

export interface LocalCa {
  /** DER, published at `<baseUrl>/ca/<issuerId>-root.cer` */
  readonly rootCertificate: Uint8Array;
  /** DER, published at `<baseUrl>/ca/<issuerId>.cer` */
  readonly issuingCertificate: Uint8Array;
  readonly signerUri: string;
  /** Of the issuing CA's token, `user:password` as on CloudHSM; absent where its key was given. */
  readonly pin?: string;
  /** Where the issuing CA's CRLs will be, by shard. */
  readonly crlUrls: readonly string[];
  /** The root's key, for its CRL and the next issuing CA. */
  readonly root: { readonly signerUri: string; readonly pin: string };
  /** For every process that uses the tokens. */
  readonly environment: TokenEnvironment;
}

const pkcs11js = createRequire(import.meta.url)('pkcs11js') as typeof Pkcs11js;

const ROOT_YEARS = 20;
const ISSUING_YEARS = 3;
/** How far back validity begins, for devices whose clocks are slow. */
const BACKDATE_MILLISECONDS = 3_600_000;

/**
 * A root CA (P-384) and an issuing CA (P-256) under it, each with its key in a SoftHSM2 token of its own, in one
 * directory. The security officers' PINs are random and not kept: nobody needs them again.
 *
 * Blocks, and sets SOFTHSM2_CONF in this process; local/ca/child.ts does it in a process of its own.
 *
 * @param randomBytes cryptographically strong; serial numbers and PINs come from it
 * @throws Error when the directory has these tokens already, RangeError for options of the wrong form
 */
export function createLocalCa(options: LocalCaOptions, randomBytes: (size: number) => Uint8Array): LocalCa {
  checkOptions(options);
  const { directory, library, baseUrl, issuerId, crlShardCount, now } = options;
  const password = () => newPassword(randomBytes);
  const names = { root: `${issuerId}-root`, issuing: issuerId };
  const tokens = {
    root: { directory, library, label: names.root, userPin: `root_user:${password()}` },
    issuing: { directory, library, label: names.issuing, userPin: `crypto_user:${password()}` },
  };
  const environment = createToken({ ...tokens.root, soPin: password() });
  const issuing =
    options.issuingKey === undefined ? makeIssuingKey(tokens.issuing, randomBytes) : readGivenKey(options.issuingKey);

  const subjects = { root: `Mintmark local root CA ${issuerId}`, issuing: `Mintmark local issuing CA ${issuerId}` };
  const { rootCertificate, issuingCertificate } = withToken(tokens.root, (session) => {
    const pair = generateKeyPair(session, { label: names.root, id: randomBytes(16), algorithm: 'P-384' });
    const rootKey: CaKey = {
      publicKey: pair.publicKey,
      curve: 'P-384',
      sign: (tbsCertificate) => signWithToken(session, pair.privateKey, tbsCertificate),
    };
    return {
      rootCertificate: signCaCertificate(
        {
          serialNumber: serialNumber(randomBytes),
          subject: subjects.root,
          issuer: subjects.root,
          publicKey: pair.publicKey,
          ...validity(now, ROOT_YEARS),
        },
        rootKey,
      ),
      issuingCertificate: signCaCertificate(
        {
          serialNumber: serialNumber(randomBytes),
          subject: subjects.issuing,
          issuer: subjects.root,
          publicKey: issuing.publicKey,
          ...validity(now, ISSUING_YEARS),
          pathLenConstraint: 0,
          issuerUrls: {
            certificate: `${baseUrl}/ca/${names.root}.cer`,
            crl: `${baseUrl}/crl/${names.root}/0.crl`,
          },
        },
        rootKey,
      ),
    };
  });

  return {
    rootCertificate,
    issuingCertificate,
    signerUri: issuing.signerUri,
    ...(issuing.pin === undefined ? {} : { pin: issuing.pin }),
    crlUrls: Array.from({ length: crlShardCount }, (_, shard) => `${baseUrl}/crl/${issuerId}/${shard}.crl`),
    root: { signerUri: signerUri(names.root), pin: tokens.root.userPin },
    environment,
  };
}

interface IssuingKey {
  readonly signerUri: string;
  readonly publicKey: KeyObject;
  readonly pin?: string;
}

function makeIssuingKey(token: Omit<TokenOptions, 'soPin'>, randomBytes: (size: number) => Uint8Array): IssuingKey {
  createToken({ ...token, soPin: newPassword(randomBytes) });
  const { publicKey } = withToken(token, (session) =>
    generateKeyPair(session, { label: token.label, id: randomBytes(16), algorithm: 'P-256' }),
  );
  return { signerUri: signerUri(token.label), publicKey, pin: token.userPin };
}

function readGivenKey({ signerUri: uri, publicKey }: GivenIssuingKey): IssuingKey {
  return {
    signerUri: uri,
    publicKey: createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' }),
  };
}

function newPassword(randomBytes: (size: number) => Uint8Array): string {
  return Buffer.from(randomBytes(24)).toString('base64url');
}

function checkOptions({ baseUrl, issuerId, crlShardCount }: LocalCaOptions): void {
  // With "-root" behind it, a token label of at most 32 bytes.
  if (!/^[a-z0-9][a-z0-9-]{0,26}$/.test(issuerId)) {
    throw new RangeError(`An issuer id is 1 to 27 lower-case letters, digits and hyphens: ${issuerId}`);
  }
  if (!/^http:\/\/[^\s?#]*[^\s?#/]$/.test(baseUrl)) {
    throw new RangeError(`The base URL is http:// and has no slash at its end: ${baseUrl}`);
  }
  if (!Number.isInteger(crlShardCount) || crlShardCount < 1) {
    throw new RangeError(`The number of CRL shards is at least 1: ${crlShardCount}`);
  }
}

function signerUri(name: string): string {
  return formatPkcs11Uri({ token: name, object: name, type: 'private' });
}

function signWithToken({ pkcs11, handle }: TokenSession, privateKey: Buffer, tbsCertificate: Uint8Array): Uint8Array {
  pkcs11.C_SignInit(handle, { mechanism: pkcs11js.CKM_ECDSA }, privateKey);
  const digest = createHash('sha384').update(tbsCertificate).digest();
  return ecdsaSignatureToDer(pkcs11.C_Sign(handle, digest, Buffer.alloc(96)));
}

/** 16 random bytes with the top bit clear, so that the INTEGER has no more; all zero only if the source is broken. */
function serialNumber(randomBytes: (size: number) => Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(randomBytes(16));
  bytes[0] = (bytes[0] as number) & 0x7f;
  if (bytes.every((byte) => byte === 0)) throw new Error('The source of randomness gives only zeros');
  return bytes;
}

/** Whole seconds; both ends are included. */
function validity(now: number, years: number): { notBefore: Date; notAfter: Date } {
  const notBefore = new Date(Math.floor((now - BACKDATE_MILLISECONDS) / 1000) * 1000);
  const notAfter = new Date(notBefore);
  notAfter.setUTCFullYear(notAfter.getUTCFullYear() + years);
  notAfter.setUTCSeconds(notAfter.getUTCSeconds() - 1);
  return { notBefore, notAfter };
}
