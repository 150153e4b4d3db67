import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { type BrokenCertificates, type Fault, makeBrokenCertificates } from './broken-certificates.ts';
import { type Extensions, explains, readExplanations, readExtensions } from './explained.ts';
import {
  type IssuedCertificate,
  type IssuedCertificates,
  issueCertificates,
  type KeyType,
} from './issued-certificates.ts';
import {
  type Finding,
  type Path,
  pkilintCertificates,
  pkilintChains,
  pycaVerdicts,
  withoutGo,
  withoutPython,
  zlint,
} from './judges.ts';

let issued: IssuedCertificates;
let broken: BrokenCertificates;

beforeAll(async () => {
  issued = await issueCertificates(Date.now());
  broken = makeBrokenCertificates();
});

/** Every certificate that we make: of CAs and leaves. */
const everyCertificate = (): Uint8Array[] => [
  ...issued.hierarchies.flatMap(({ root, issuing }) => [root, issuing]),
  ...issued.good.map(({ certificate }) => certificate),
];

/** What is found and not explained, and what is explained and not found: both empty. */
function compared(judge: Finding['judge'], findings: readonly Finding[]) {
  const explanations = readExplanations().filter((explanation) => explanation.judge === judge);
  return {
    unexplained: findings.filter((finding) => !explanations.some((explanation) => explains(explanation, finding))),
    outdated: explanations.filter((explanation) => !findings.some((finding) => explains(explanation, finding))),
  };
}

const nothing = { unexplained: [], outdated: [] };

function brokenCertificate(fault: Fault): Uint8Array {
  const certificate = broken.certificates.get(fault);
  if (certificate === undefined) throw new Error(`No certificate with ${fault}`);
  return certificate;
}

function fleetLeaf(): IssuedCertificate {
  const [leaf] = issued.fleet;
  if (leaf === undefined) throw new Error('No certificate of the fleet');
  return leaf;
}

const codesOf = (findings: readonly Finding[] | undefined): string[] =>
  (findings ?? []).filter(({ severity }) => /^error$/i.test(severity)).map(({ code }) => code);

const extensionsOf = (certificate: Uint8Array): Extensions =>
  Object.fromEntries(
    new x509.X509Certificate(Uint8Array.from(certificate)).extensions.map(({ type, critical }) => [type, critical]),
  );

/** The rules that a judge is known to get wrong: no other error can be explained away by a row of the page. */
const errorsOfJudges = ['pkilint: pkix.invalid_uri_syntax', 'pkilint: pkix.invalid_domain_name_syntax'];

/** What the page says below its table of profiles that say more: docs/profiles.md. */
function varied(device: Extensions, { name }: IssuedCertificate['profile']): Extensions {
  if (name !== 'workload' && name !== 'every-name') return device;
  const { '2.5.29.31': _, ...unrevocable } = device;
  const critical: Extensions = { ...unrevocable, '2.5.29.17': true, '2.5.29.56': false };
  if (name === 'workload') return critical;
  const { '1.3.6.1.5.5.7.1.1': __, ...rest } = critical;
  return { ...rest, '2.5.29.32': false, '1.3.6.1.4.1.32473.10': false };
}

describe('docs/certificates.md', () => {
  it('excuses no error but those in which the judge is known to be wrong', () => {
    const errors = readExplanations().filter(({ severity }) => /^(error|fatal)$/i.test(severity));
    expect(new Set(errors.map(({ judge, code }) => `${judge}: ${code}`))).toEqual(new Set(errorsOfJudges));
    for (const { message } of errors) expect(message).toMatch(/^[^*]+: "[^*]{6,}\*?"$/);
  });

  it('says which extensions each certificate has', () => {
    const { device, issuing, root } = readExtensions();
    for (const { certificate, profile } of issued.good) {
      expect(extensionsOf(certificate)).toEqual(varied(device, profile));
    }
    for (const hierarchy of issued.hierarchies) {
      expect(extensionsOf(hierarchy.issuing)).toEqual(issuing);
      expect(extensionsOf(hierarchy.root)).toEqual(root);
    }
  });
});

describe.skipIf(withoutGo !== undefined)(`zlint${withoutGo ?? ''}`, () => {
  it('finds nothing that docs/certificates.md does not explain', () => {
    expect(compared('zlint', zlint(everyCertificate()).flat())).toEqual(nothing);
  });

  it.each<[Fault, string[]]>([
    ['no fault', []],
    ['a negative serial number', ['e_serial_number_not_positive']],
    ['a serial number of 21 octets', ['e_serial_number_longer_than_20_octets']],
    ['no authority key identifier', ['e_ext_authority_key_identifier_no_key_identifier']],
    [
      'the key usage of a CA',
      ['e_ext_key_usage_cert_sign_without_ca', 'e_key_usage_and_extended_key_usage_inconsistent'],
    ],
    ['a critical subject key identifier', ['e_ext_subject_key_identifier_critical']],
    ['a relative URI', ['e_ext_san_uri_format_invalid', 'e_ext_san_uri_host_not_fqdn_or_ip', 'e_ext_san_uri_relative']],
  ])('judges: a certificate with %s', (fault, codes) => {
    expect(codesOf(zlint([brokenCertificate(fault)])[0])).toEqual(codes);
  });
});

describe.skipIf(withoutPython !== undefined)(`pkilint${withoutPython ?? ''}`, () => {
  it('finds nothing in a certificate that docs/certificates.md does not explain', () => {
    expect(compared('pkilint', pkilintCertificates(everyCertificate()).flat())).toEqual(nothing);
  });

  it('finds nothing between a certificate and its issuer that docs/certificates.md does not explain', () => {
    const pairs = [
      ...issued.hierarchies.map(({ root, issuing }) => [issuing, root] as const),
      ...issued.good
        .filter(({ hierarchy }) => hierarchy.name !== 'rsa-pss')
        .map(({ certificate, hierarchy }) => [certificate, hierarchy.issuing] as const),
    ];
    expect(compared('pkilint chain', pkilintChains(pairs).flat())).toEqual(nothing);
  });

  it('cannot verify RSASSA-PSS, which is left to the others', () => {
    const pss = issued.good.filter(({ hierarchy }) => hierarchy.name === 'rsa-pss');
    const findings = pkilintChains(pss.map(({ certificate, hierarchy }) => [certificate, hierarchy.issuing] as const));
    expect(findings.map(codesOf)).toEqual([['pkix.signature_verification_failed']]);
  });

  describe('judges', () => {
    let findings: ReadonlyMap<Fault, Finding[] | undefined>;
    beforeAll(() => {
      const found = pkilintCertificates([...broken.certificates.values()]);
      findings = new Map([...broken.certificates.keys()].map((fault, index) => [fault, found[index]]));
    });

    it.each<[Fault, string[]]>([
      ['no fault', []],
      ['a negative serial number', ['pkix.certificate_serial_number_out_of_range']],
      ['a serial number of 21 octets', ['pkix.certificate_serial_number_out_of_range']],
      ['no authority key identifier', ['pkix.authority_key_identifier_extension_absent']],
      ['the key usage of a CA', ['pkix.ee_certificate_keycertsign_keyusage_set']],
      ['a critical subject key identifier', ['pkix.certificate_skid_extension_critical']],
      ['a relative URI', ['pkix.invalid_uri_syntax']],
    ])('a certificate with %s', (fault, codes) => {
      expect(codesOf(findings.get(fault))).toEqual(codes);
    });
  });

  it('judges: a certificate beside the certificate of another issuer', () => {
    const { certificate } = issued.stranger;
    const { issuing } = fleetLeaf().hierarchy;
    expect(codesOf(pkilintChains([[certificate, issuing]])[0])).toEqual([
      'pkix.issuer_and_subject_key_identifier_not_equal',
      'pkix.signature_verification_failed',
    ]);
  });
});

/** pyca/cryptography names curves as SECG does. */
const pycaName = (keyType: KeyType): string =>
  ({ 'P-256': 'secp256r1', 'P-384': 'secp384r1', 'P-521': 'secp521r1' })[keyType as string] ?? keyType;

const pathOf = ({ certificate, hierarchy: { issuing, root }, at }: IssuedCertificate): Path => ({
  certificate,
  issuing,
  root,
  at,
});

/** What it is verified by, where it is a server's and no client's. */
const serverOf = ({ profile, deviceId }: IssuedCertificate): { server?: string } => {
  if (profile.extendedKeyUsage.includes('clientAuth')) return {};
  return { server: profile.name === 'servers' ? deviceId : `${deviceId}.devices.example.com` };
};

/** Names of more kinds than dNSName and URI, as pyca reads them; an otherName by its type and the hex of its DER. */
const namesOfKinds: Readonly<Record<string, readonly string[]>> = {
  'pump-10': ['pump-10.devices.example.com', 'mqtt.pump-10.devices.example.com', '10.1.2.3', 'fd00::1'],
  'pump-11': [
    'https://example.com/devices/pump-11',
    'pump-11@example.com',
    `1.3.6.1.5.5.7.8.4 301406092b0601040181fd59070407${Buffer.from('pump-11').toString('hex')}`,
    `1.3.6.1.5.5.7.8.3 30140c07${Buffer.from('pump-11').toString('hex')}06092b0601040181fd5908`,
    `1.3.6.1.4.1.32473.9 0c0e${Buffer.from('Gerät pump-11').toString('hex')}`,
    'a.pump-11.example.com',
    '192.0.2.1',
    '2001:db8::1',
  ],
};

describe.skipIf(withoutPython !== undefined)(`pyca/cryptography${withoutPython ?? ''}`, () => {
  it('reads every certificate and validates its path up to the root', () => {
    // Its verifiers are of clients and of servers; a certificate for signing code is neither's.
    const judged = issued.good.filter(({ profile }) => !profile.extendedKeyUsage.includes('codeSigning'));
    const verdicts = pycaVerdicts(judged.map((each) => ({ ...pathOf(each), ...serverOf(each) })));
    const expected = judged.map(({ certificate, keyType, hierarchy, deviceId }) => {
      const { serialNumber, subject, subjectAltName = '' } = new X509Certificate(certificate);
      const subjectOf = (der: Uint8Array) => new X509Certificate(der).subject;
      return {
        serialNumber,
        subject: reversed(subject),
        subjectAltName:
          namesOfKinds[deviceId] ??
          subjectAltName.split(', ').map((name) => name.replace(/^(?:DNS|URI):/, '').replace(/^"(.*)"$/, '$1')),
        publicKey: pycaName(keyType),
        path: [subject, subjectOf(hierarchy.issuing), subjectOf(hierarchy.root)].map(reversed),
      };
    });
    expect(verdicts).toEqual(expected);
  });

  it.each<[string, string, () => Path]>([
    ['a signature with a wrong bit', 'signature', () => withWrongSignature(pathOf(issued.server))],
    ['another root', 'candidates exhausted', () => ({ ...pathOf(fleetLeaf()), root: issued.stranger.hierarchy.root })],
    [
      'a time after its validity',
      'not valid at validation time',
      () => ({ ...pathOf(issued.expired), at: Date.now() }),
    ],
    ['the key usage of a server, as a client', 'required EKU not found', () => pathOf(issued.server)],
    ['a negative serial number', 'serial number cannot be negative', () => brokenPath('a negative serial number')],
    ['no authority key identifier', '2.5.29.35', () => brokenPath('no authority key identifier')],
    ['the key usage of a CA', 'must not assert keyCertSign', () => brokenPath('the key usage of a CA')],
  ])('judges: refuses a certificate with %s', (_, why, path) => {
    expect(pycaVerdicts([path()])[0]).toEqual({ refused: expect.stringContaining(why) });
  });

  it.each<Fault>(['no fault', 'a serial number of 21 octets', 'a critical subject key identifier'])(
    'validates a certificate with %s, and leaves the rest to the linters',
    (fault) => {
      expect(pycaVerdicts([brokenPath(fault)])[0]).toMatchObject({ publicKey: 'secp256r1' });
    },
  );
});

/** A subject as node:crypto has it, one RDN a line, as RFC 4514 has it, the last first. */
const reversed = (subject = ''): string =>
  subject
    .split('\n')
    .map((attribute) => attribute.replace(/^serialNumber=/, '2.5.4.5='))
    .reverse()
    .join(',');

function withWrongSignature(path: Path): Path {
  const certificate = Uint8Array.from(path.certificate);
  const last = certificate.length - 1;
  certificate[last] = (certificate[last] ?? 0) ^ 1;
  return { ...path, certificate, server: 'localhost' };
}

const brokenPath = (fault: Fault): Path => ({
  certificate: brokenCertificate(fault),
  issuing: broken.root,
  root: broken.root,
  at: Date.now() + 1000,
});
