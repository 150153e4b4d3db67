import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { signCaCertificate } from '../../local/ca/certificate.ts';
import { createLocalCa } from '../../local/ca/local-ca.ts';
import { readInstalled } from '../../local/setup/installed.ts';
import { generateKeyPair, type KeyAlgorithm } from '../../local/softhsm/key-pair.ts';
import { withToken } from '../../local/softhsm/token.ts';
import { issueBatch } from '../../shared/issuance/issue-batch.ts';
import { OpenIssuers } from '../../shared/issuance/open-issuers.ts';
import { type Profile, readProfile, readProfiles } from '../../shared/issuance/profile.ts';
import { Devices } from '../../shared/ledger/devices.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { SenderRecords } from '../../shared/ledger/sender-records.ts';
import { openPkcs11Signer } from '../../shared/signer/pkcs11.ts';
import type { SignatureScheme } from '../../shared/signer/port.ts';
import { generateEcKey, generateEd25519Key, generateRsaKey, makeCsr } from '../fixtures/csr/make.ts';
import { provedLogins } from '../support/first-logins.ts';
import { base64, queue, startWorker } from '../support/issuing.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { deviceTls } from '../support/profile.ts';
import { startTables, tables } from '../support/tables.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** A root and an issuing CA under it, DER. */
export interface Hierarchy {
  readonly name: string;
  readonly root: Uint8Array;
  readonly issuing: Uint8Array;
  /** A moment in both certificates' validity, milliseconds since the epoch. */
  readonly at: number;
}

export interface IssuedCertificate {
  readonly name: string;
  readonly keyType: KeyType;
  readonly profile: Profile;
  readonly deviceId: string;
  readonly hierarchy: Hierarchy;
  /** DER, as issueBatch answered. */
  readonly certificate: Uint8Array;
  /** PEM. */
  readonly privateKey: string;
  /** A moment in its validity. */
  readonly at: number;
}

export const keyTypes = ['P-256', 'P-384', 'P-521', 'RSA 2048', 'RSA 3072', 'RSA 4096', 'Ed25519'] as const;
export type KeyType = (typeof keyTypes)[number];

/** Issued now: one or more of each shipped profile and key type that it allows, and what the tests compare them with. */
export interface IssuedCertificates {
  readonly hierarchies: readonly Hierarchy[];
  /** Every certificate that is good: the fleet's, and what other profiles, issuing CAs and times give. */
  readonly good: readonly IssuedCertificate[];
  /** Of these, the clients' of the local CA, one of each key type, with the names that every certificate has. */
  readonly fleet: readonly IssuedCertificate[];
  /** Of a profile for servers; its dNSName is localhost. */
  readonly server: IssuedCertificate;
  /** Of the fleet's issuing CA, its validity over. */
  readonly expired: IssuedCertificate;
  /** Of another hierarchy, for a device id of the fleet. */
  readonly stranger: IssuedCertificate;
}

const day = 86_400_000;

/** Every subject attribute that a profile may grant; keyEncipherment is for RSA keys only (RFC 8813 section 3). */
const everyAttribute = readProfile(
  'every-attribute.yaml',
  `name: every-attribute
issuer: devices
validity: { days: 30, backdateMinutes: 1440 }
keys: { rsa: { minimumBits: 2048, maximumBits: 4096 } }
subject:
  - countryName: DE
  - stateOrProvinceName: Nordrhein-Westfalen
  - localityName: Köln
  - organizationName: Gerätebau
  - organizationalUnitName: '設備 🚰'
  - serialNumber: '{deviceId}'
  - commonName: '{deviceId}'
subjectAltName:
  always: [dNSName: '{deviceId}.example.com', uniformResourceIdentifier: 'spiffe://example.com/{deviceId}']
  onRequest: []
keyUsage: [digitalSignature, keyEncipherment]
extendedKeyUsage: [clientAuth, serverAuth]
ignored: { subjectAttributes: [], extensions: [] }
registration: required
allowedSenders: any
`,
);

const keyAgreement: Profile = {
  ...deviceTls,
  name: 'key-agreement',
  hash: 'b',
  keys: { ec: { curves: ['P-256'] } },
  keyUsage: ['digitalSignature', 'keyAgreement'],
};

/** Everything that a profile may add to a certificate, and every kind of name. */
const everyName = readProfile(
  'every-name.yaml',
  `name: every-name
issuer: devices
validity: { hours: 12, backdateMinutes: 10 }
keys: { ec: { curves: [P-256] }, rsa: { minimumBits: 2048, maximumBits: 4096 }, ed25519: true }
subject: []
subjectAltName:
  always:
    - uniformResourceIdentifier: 'https://example.com/devices/{deviceId}'
    - rfc822Name: '{deviceId}@example.com'
    - hardwareModuleName: { hwType: 1.3.6.1.4.1.32473.7, hwSerialNum: '{deviceId}' }
    - permanentIdentifier: { identifierValue: '{deviceId}', assigner: 1.3.6.1.4.1.32473.8 }
    - otherName: { typeId: 1.3.6.1.4.1.32473.9, utf8String: 'Gerät {deviceId}' }
  onRequest:
    - dNSName: '{label}.{deviceId}.example.com'
    - { iPAddress: 192.0.2.0/24, shared: true }
    - { iPAddress: 2001:db8::/32, shared: true }
keyUsage: [digitalSignature, nonRepudiation]
extendedKeyUsage: [clientAuth, serverAuth, emailProtection, 1.3.6.1.5.5.7.3.17]
certificatePolicies:
  - policyIdentifier: 1.3.6.1.4.1.32473.2.1
  - { policyIdentifier: 1.3.6.1.4.1.32473.2.2, cPSuri: 'https://example.com/cps' }
extensions:
  - { extnID: 1.3.6.1.4.1.32473.10, critical: false, extnValue: 0c0474657374 }
revocation: none
authorityInfoAccess: omit
ignored: { subjectAttributes: [commonName], extensions: [] }
registration: required
allowedSenders: any
`,
);

const servers: Profile = {
  ...deviceTls,
  name: 'servers',
  hash: 'c',
  subjectAltName: { always: [{ dNSName: '{deviceId}' }], onRequest: [] },
  extendedKeyUsage: ['serverAuth'],
};

/** CA keys of the other kinds that sign; the local CA's own are P-384 (root) and P-256. */
const otherSchemes: readonly { name: string; algorithm: KeyAlgorithm; scheme: SignatureScheme }[] = [
  { name: 'ecdsa-p-384', algorithm: 'P-384', scheme: { algorithm: 'ecdsa', hash: 'sha384' } },
  { name: 'rsa-pkcs1', algorithm: 'RSA-3072', scheme: { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha256' } },
  { name: 'rsa-pss', algorithm: 'RSA-2048', scheme: { algorithm: 'rsa-pss', hash: 'sha256' } },
];

function isAllowed({ keys }: Profile, keyType: KeyType): boolean {
  if (keyType === 'Ed25519') return keys.ed25519 === true;
  if (!keyType.startsWith('RSA')) return keys.ec?.curves.some((curve) => curve === keyType) === true;
  const bits = Number(keyType.slice(4));
  return keys.rsa !== undefined && bits >= keys.rsa.minimumBits && bits <= keys.rsa.maximumBits;
}

function newKey(keyType: KeyType): string {
  if (keyType === 'Ed25519') return generateEd25519Key();
  return keyType.startsWith('RSA') ? generateRsaKey(Number(keyType.slice(4))) : generateEcKey(keyType);
}

interface Wanted {
  readonly name?: string;
  readonly profile: Profile;
  readonly keyType: KeyType;
  readonly deviceId: string;
  readonly at: number;
  /** Of the device's registration. */
  readonly allowedNames?: readonly string[];
  /** Asks for the dNSName of the device. */
  readonly dNSName?: boolean;
  /** Asks for these names, in openssl's words. */
  readonly names?: string;
}

/**
 * The certificates that the judges judge: openssl's CSRs through the whole way of a request (issueBatch, on the tables
 * of deploy/tables.yml), signed through PKCS#11 in SoftHSM2 by local CAs as `npm start` makes them.
 *
 * @param now milliseconds since the epoch
 */
export async function issueCertificates(now: number): Promise<IssuedCertificates> {
  const library = readInstalled().softhsm2Library;
  const directory = temporaryFolder('judged');
  const signers = new Map<string, { pin: string; scheme?: SignatureScheme }>();
  const store = await startTables();
  const issuers = new Issuers(store.client, tables.issuers);
  const hierarchies = new Map<string, Hierarchy>();

  const add = async (hierarchy: Hierarchy, signerUri: string, signer: { pin: string; scheme?: SignatureScheme }) => {
    hierarchies.set(hierarchy.name, hierarchy);
    signers.set(signerUri, signer);
    await issuers.add({
      issuerId: hierarchy.name,
      state: 'active',
      certificate: hierarchy.issuing,
      chain: [hierarchy.root],
      signerUri,
      clusterId: 'cluster-1234567890a',
      sealedPins: {},
      baseUrl: 'http://ca.example.com',
      crlShardCount: 16,
    });
  };
  const addLocalCa = async (issuerId: string, madeAt: number, at: number) => {
    const options = { directory, library, baseUrl: 'http://ca.example.com', issuerId, crlShardCount: 16, now: madeAt };
    const { rootCertificate: root, issuingCertificate: issuing, signerUri, pin } = createLocalCa(options, randomBytes);
    if (pin === undefined) throw new Error('The local CA has no key in a token');
    await add({ name: issuerId, root, issuing, at }, signerUri, { pin });
    return pin;
  };

  const madeAt = now - 400 * day;
  const pin = await addLocalCa('devices', madeAt, now);
  await addLocalCa('strangers', madeAt, now);
  const farNow = Date.parse('2049-06-01T00:00:00Z');
  await addLocalCa('far', farNow, farNow);
  for (const [index, { name, algorithm, scheme }] of otherSchemes.entries()) {
    const { publicKey } = withToken({ directory, library, label: 'devices', userPin: pin }, (session) =>
      generateKeyPair(session, { label: name, id: Uint8Array.of(index + 1), algorithm }),
    );
    const hierarchy = { name, ...certify(name, publicKey, now), at: now };
    await add(hierarchy, `pkcs11:token=devices;object=${name};type=private`, { pin, scheme });
  }

  const shipped = [...readProfiles(new URL('../../profiles/', import.meta.url)).values()];
  const shippedProfile = (name: string): Profile => {
    const profile = shipped.find((each) => each.name === name);
    if (profile === undefined) throw new Error(`No profile ${name}`);
    return profile;
  };
  const by = (issuer: string): Profile => ({ ...deviceTls, name: `by-${issuer}`, issuer });
  const others = [...otherSchemes.map(({ name }) => name), 'strangers', 'far'].map(by);
  const profiles = [...shipped, everyAttribute, everyName, keyAgreement, servers, ...others];

  const openAt = (at: number) => {
    const clock = () => at + Math.max(0, Date.now() - now);
    const ca = makeIssuingCa({ notBefore: new Date(now), notAfter: new Date(now) });
    const { authority } = startWorker({ tables: store, ca, now: clock, profiles });
    const open = new OpenIssuers({
      ...provedLogins,
      issuers,
      now: clock,
      openSigner: (issuer, { publicKey: certificatePublicKey }, deadline) => {
        const signer = signers.get(issuer.signerUri);
        if (signer === undefined) throw new Error(`No signer ${issuer.signerUri}`);
        return openPkcs11Signer({
          uri: issuer.signerUri,
          library,
          pin: Buffer.from(signer.pin),
          certificatePublicKey,
          ...(signer.scheme === undefined ? {} : { scheme: signer.scheme }),
          workerUrl: new URL('../../shared/signer/pkcs11-worker.ts', import.meta.url),
          deadline,
          now: clock,
          random: Math.random,
        });
      },
    });
    return { authority: { ...authority, issuers: open }, close: () => open.close(), clock };
  };

  // The same key asks more than once, as a device that renews does: RSA keys take seconds to make.
  const keys = new Map<KeyType, string>();
  const keyOf = (keyType: KeyType): string => {
    const key = keys.get(keyType) ?? newKey(keyType);
    keys.set(keyType, key);
    return key;
  };

  const senders = new SenderRecords(store.client, tables.senders);
  await senders.add({ principalId: 'AROAEXAMPLEROLEID', fleets: '*', profiles: '*' }, now);
  const devices = new Devices(store.client, tables.devices);
  let requests = 0;
  async function issue(at: number, wanted: readonly Omit<Wanted, 'at'>[]): Promise<IssuedCertificate[]> {
    const { authority, close, clock } = openAt(at);
    try {
      const privateKeys = wanted.map(({ keyType }) => keyOf(keyType));
      for (const { deviceId, allowedNames } of wanted) {
        await devices.register({ deviceId, state: 'active', ...(allowedNames === undefined ? {} : { allowedNames }) });
      }
      const batch = wanted.map(({ deviceId, profile, dNSName = false, names }, index) => {
        const asked = dNSName ? `DNS:${deviceId}` : names;
        const extensions = asked === undefined ? {} : { extensions: [`subjectAltName = ${asked}`] };
        const csr = base64(makeCsr(privateKeys[index] ?? '', { subject: `/CN=${deviceId}`, ...extensions }));
        return queue(clock(), { deviceId, requestId: `request-${++requests}`, profile: profile.name, csr });
      });
      const outcomes = await issueBatch(authority, batch, clock() + 60_000);
      return wanted.map(({ profile, keyType, dNSName = false, deviceId, name }, index) => {
        const outcome = outcomes[index];
        if (outcome?.kind !== 'issued') throw new Error(`${profile.name} ${keyType}: ${JSON.stringify(outcome)}`);
        const hierarchy = hierarchies.get(profile.issuer);
        if (hierarchy === undefined) throw new Error(`No hierarchy ${profile.issuer}`);
        return {
          name: name ?? `${profile.name}, ${keyType}${dNSName ? ', with a dNSName' : ''}, ${deviceId}`,
          keyType,
          profile,
          deviceId,
          hierarchy,
          certificate: outcome.row.certificate,
          privateKey: privateKeys[index] ?? '',
          at,
        };
      });
    } finally {
      await close();
    }
  }

  try {
    const each = keyTypes.map((keyType) => ({ profile: deviceTls, keyType, deviceId: 'pump-7' }));
    // A device for each certificate: these profiles ask when a device comes again, and whose key it is.
    const ofOthers = shipped
      .filter(({ name }) => name !== deviceTls.name)
      .flatMap((profile) =>
        keyTypes
          .filter((keyType) => isAllowed(profile, keyType))
          .map((keyType) => ({
            profile,
            keyType,
            deviceId: `${profile.name}-${keyType.toLowerCase().replace(' ', '-')}`,
          })),
      );
    const fleet = await issue(now, each);
    const more = await issue(now, [
      ...each.map((wanted) => ({ ...wanted, dNSName: true })),
      ...ofOthers,
      {
        profile: shippedProfile('device-tls-server'),
        keyType: 'P-256',
        deviceId: 'pump-10',
        names: 'DNS:mqtt.pump-10.devices.example.com, IP:10.1.2.3, IP:fd00::1',
        allowedNames: ['IP:10.1.2.3', 'IP:fd00::1'],
      },
      ...(['P-256', 'RSA 2048', 'Ed25519'] as const).map((keyType) => ({
        profile: everyName,
        keyType,
        deviceId: 'pump-11',
        names: 'DNS:a.pump-11.example.com, IP:192.0.2.1, IP:2001:db8::1',
      })),
      { profile: deviceTls, keyType: 'P-256', deviceId: `${'a'.repeat(62)}_1` },
      { profile: deviceTls, keyType: 'P-256', deviceId: 'Line_4:Pump.7' },
      { profile: deviceTls, keyType: 'P-256', deviceId: 'pump-7.example.com', dNSName: true },
      { profile: everyAttribute, keyType: 'RSA 2048', deviceId: 'pump-8' },
      { profile: keyAgreement, keyType: 'P-256', deviceId: 'pump-8' },
      ...otherSchemes.map(({ name }) => ({ profile: by(name), keyType: 'P-256' as const, deviceId: 'pump-9' })),
    ]);
    const [server] = await issue(now, [{ profile: servers, keyType: 'P-256', deviceId: 'localhost' }]);
    const [stranger] = await issue(now, [{ profile: by('strangers'), keyType: 'P-256', deviceId: 'pump-7' }]);
    // Valid into 2050, from when on times are GeneralizedTime (RFC 5280 section 4.1.2.5).
    const far = await issue(farNow + day, [{ profile: by('far'), keyType: 'P-256', deviceId: 'pump-7' }]);
    // Its 365 days were over a month ago.
    const [expired] = await issue(madeAt + day, [{ profile: deviceTls, keyType: 'P-256', deviceId: 'pump-7' }]);
    if (server === undefined || stranger === undefined || expired === undefined) throw new Error('Not issued');
    const good = [...fleet, ...more, server, stranger, ...far, expired];
    return { hierarchies: [...hierarchies.values()], good, fleet, server, expired, stranger };
  } finally {
    await store.close();
  }
}

/** A root (P-256, in software) for an issuing CA's key. */
function certify(name: string, publicKey: KeyObject, now: number): Pick<Hierarchy, 'root' | 'issuing'> {
  const rootKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = {
    publicKey: rootKey.publicKey,
    curve: 'P-256',
    sign: (tbsCertificate: Uint8Array) => sign('sha256', tbsCertificate, rootKey.privateKey),
  } as const;
  const serialNumber = () => Uint8Array.of(1, ...randomBytes(15));
  const common = { issuer: `Root of ${name}`, notBefore: new Date(now - day), notAfter: new Date(now + 1000 * day) };
  const urls = { certificate: 'http://ca.example.com/root.cer', crl: 'http://ca.example.com/root.crl' };
  return {
    root: signCaCertificate(
      { ...common, serialNumber: serialNumber(), subject: `Root of ${name}`, publicKey: rootKey.publicKey },
      signer,
    ),
    issuing: signCaCertificate(
      { ...common, serialNumber: serialNumber(), subject: name, publicKey, pathLenConstraint: 0, issuerUrls: urls },
      signer,
    ),
  };
}
