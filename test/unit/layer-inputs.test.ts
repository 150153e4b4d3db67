import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { CloudHSMV2Client } from '@aws-sdk/client-cloudhsm-v2';
import { describe, expect, it } from 'vitest';
import { parseArguments } from '../../deploy/layer/arguments.ts';
import { buildLayer } from '../../deploy/layer/build.ts';
import { readClientSdk } from '../../deploy/layer/client-sdk.ts';
import { describeCluster } from '../../deploy/layer/cluster.ts';
import { clientConfiguration } from '../../deploy/layer/configuration.ts';
import { readCpio } from '../../deploy/layer/cpio.ts';
import { readCustomerCa, requireSigned } from '../../deploy/layer/customer-ca.ts';
import { decompress } from '../../deploy/layer/decompress.ts';
import { readRpm } from '../../deploy/layer/rpm.ts';
import { makeClusterCertificates } from '../../local/stub/cloudhsm/certificates.ts';
import { hexSha256, readLayer, readZip, unzippedLimit } from '../../shared/layer/index.ts';
import {
  binding,
  isLinux,
  makeCustomerCa,
  makeSdk,
  ofOtherArchitecture,
  otherArchitecture,
  ownArchitecture,
  sdkFiles,
  softHsm,
} from '../support/layer.ts';
import { makeRpm, type RpmFile } from '../support/rpm.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const folder = temporaryFolder('layer-inputs');
const { certificate: caFile, key: caKey } = makeCustomerCa(folder);

const files: RpmFile[] = [
  { path: '/opt/a', content: Buffer.from('one') },
  { path: '/opt/b', content: Buffer.from('twelve bytes'), mode: 0o100755 },
];

describe('an RPM package', () => {
  it.each(['gzip', 'zstd'] as const)('packed with %s is unpacked', (compressor) => {
    const { name, version, release, architecture, entries } = readRpm(
      'sdk.rpm',
      makeRpm({ files, compressor }),
      decompress,
    );
    expect([name, version, release, architecture]).toEqual(['cloudhsm-pkcs11', '5.17.1', '1.amzn2023', 'x86_64']);
    expect(entries).toEqual([
      { kind: 'file', path: 'opt/a', content: Buffer.from('one'), isExecutable: false },
      { kind: 'file', path: 'opt/b', content: Buffer.from('twelve bytes'), isExecutable: true },
    ]);
  });

  it('packed with xz is unpacked by xz; without it, it is said what to install', () => {
    // In the place of xz, which a machine may lack, one that every machine has.
    writeFileSync(join(folder, 'xz'), '#!/bin/sh\n[ "$*" = -dc ] && exec gzip -dc\n', { mode: 0o755 });
    const rpm = makeRpm({ files, compressor: 'xz', compress: (cpio) => gzipSync(cpio) });
    const path = process.env['PATH'];
    try {
      process.env['PATH'] = `${folder}:${path}`;
      expect(readRpm('sdk.rpm', rpm, decompress).entries).toHaveLength(2);
      process.env['PATH'] = join(folder, 'empty');
      expect(() => readRpm('sdk.rpm', rpm, decompress)).toThrow(
        expect.objectContaining({ cure: expect.stringContaining('xz-utils (apt)') }),
      );
    } finally {
      process.env['PATH'] = path;
    }
  });

  it('with several names of one file, and links, has what each leads to', () => {
    const linked: RpmFile[] = [
      { path: '/opt/first', content: Buffer.alloc(0), inode: 7 },
      { path: '/opt/last', content: Buffer.from('content'), inode: 7 },
      { path: '/opt/link', target: 'last' },
      { path: '/opt/empty', content: Buffer.alloc(0) },
    ];
    const { entries } = readRpm('sdk.rpm', makeRpm({ files: linked }), decompress);
    expect(
      entries.map((entry) => [entry.path, entry.kind === 'file' ? entry.content.toString() : entry.target]),
    ).toEqual([
      ['opt/first', 'content'],
      ['opt/last', 'content'],
      ['opt/link', 'last'],
      ['opt/empty', ''],
    ]);
  });

  it('that is changed or cut short anywhere is refused, and nothing else is thrown', () => {
    const rpm = makeRpm({ files });
    // The lead says nothing that is read, but what it begins with and the kind; nor does the signature's own header.
    for (let at = rpm.indexOf(Buffer.from('8eade801', 'hex'), 200); at < rpm.length; at += 1) {
      const damaged = Buffer.from(rpm);
      damaged[at] = (damaged[at] ?? 0) ^ 0x41;
      expect(() => readRpm('sdk.rpm', damaged, decompress), `byte ${at}`).toThrow(
        expect.objectContaining({ name: 'LayerError', message: expect.stringContaining('damaged') }),
      );
    }
    for (let end = 0; end < rpm.length; end += 1) {
      expect(() => readRpm('sdk.rpm', rpm.subarray(0, end), decompress)).toThrow(
        expect.objectContaining({ name: 'LayerError' }),
      );
    }
  });

  it('of sources, and what is none, is refused', () => {
    const sources = Buffer.from(makeRpm({ files }));
    sources.writeUInt16BE(1, 6);
    expect(() => readRpm('sdk.src.rpm', sources, decompress)).toThrow('sdk.src.rpm is a package of sources.');
    expect(() => readRpm('sdk.deb', Buffer.from('!<arch>\ndebian-binary'), decompress)).toThrow(
      'sdk.deb is no RPM package.',
    );
  });

  it('whose archive is of another form is refused', () => {
    expect(() => readCpio(Buffer.from('070707000000'))).toThrow(/no cpio archive of the usual form at byte 0/);
    expect(() => readCpio(Buffer.alloc(0))).toThrow(/no cpio archive/);
  });
});

describe.runIf(isLinux)("AWS's package of the Client SDK", () => {
  const read = (rpm: Buffer, expectedSha256?: string) =>
    readClientSdk('sdk.rpm', rpm, { architecture: ownArchitecture, expectedSha256, decompress });

  it('gives what is below /opt/cloudhsm, without tools and headers', () => {
    const rpm = makeSdk();
    const sdk = read(rpm, hexSha256(rpm));
    expect(sdk).toMatchObject({ version: '5.17.1-1.amzn2023', sha256: hexSha256(rpm) });
    expect(sdk.files.map(({ path }) => path)).toEqual([
      'cloudhsm/etc/cloudhsm-pkcs11.cfg',
      'cloudhsm/lib/libcloudhsm_pkcs11.so',
      'cloudhsm/doc/LICENSE',
    ]);
    expect(hexSha256(sdk.files[1]?.content ?? Buffer.alloc(0))).toBe(hexSha256(softHsm()));
    expect(sdk.leftOut).toEqual([
      '/opt/cloudhsm/bin/configure-pkcs11',
      '/opt/cloudhsm/include/pkcs11.h',
      '/usr/lib/.build-id/ab/cdef',
    ]);
    // SoftHSM2 is linked with OpenSSL, which neither the package nor the C library is.
    expect(sdk.missing.join()).toMatch(/^libcrypto\.so\.\d+$/);
  });

  it('whose library is a link gives what it leads to; one that leads nowhere, or in a ring, is refused', () => {
    const linked = (target: string, at = '/opt/cloudhsm/lib/libcloudhsm_pkcs11.so.5'): RpmFile[] => [
      { path: '/opt/cloudhsm/lib/libcloudhsm_pkcs11.so', target },
      { path: at, content: softHsm(), mode: 0o100755 },
    ];
    for (const target of ['libcloudhsm_pkcs11.so.5', '/opt/cloudhsm/lib/libcloudhsm_pkcs11.so.5']) {
      expect(read(makeSdk({ files: linked(target) })).files.map(({ content }) => content.length)).toEqual([
        softHsm().length,
        softHsm().length,
      ]);
    }
    for (const target of ['libcloudhsm_pkcs11.so', '../../../etc/passwd', 'absent']) {
      expect(() => read(makeSdk({ files: linked(target) }))).toThrow(/is a link to what is not in it/);
    }
  });

  it('of another name, architecture or version is refused with what it is and what to give', () => {
    const rpmOther = otherArchitecture === 'arm64' ? 'aarch64' : 'x86_64';
    expect(() => read(makeSdk({ name: 'cloudhsm-jce' }))).toThrow(
      'sdk.rpm is the package cloudhsm-jce, not cloudhsm-pkcs11.',
    );
    expect(() => read(makeSdk({ architecture: rpmOther }))).toThrow(
      `sdk.rpm is for ${rpmOther}, and the layer is to be for ${ownArchitecture}.`,
    );
    expect(() => read(makeSdk({ version: '5.8.0' }))).toThrow(/is version 5.8.0 .* 5.9 is the oldest/);
    expect(() => read(makeSdk({ version: '5.10.0' }))).not.toThrow();
    expect(() => read(makeSdk(), 'ab'.repeat(32))).toThrow(/has the SHA-256 .*, not abab/);
  });

  it('whose library is none, is missing, or is for another processor or a newer C library, is refused', () => {
    expect(() => read(makeSdk({ files: sdkFiles().slice(0, 2) }))).toThrow(/holds no \/opt\/cloudhsm\/lib/);
    expect(() => read(makeSdk({ files: sdkFiles(Buffer.from('x')) }))).toThrow(/is no shared object/);
    expect(() => read(makeSdk({ files: sdkFiles(ofOtherArchitecture(softHsm())) }))).toThrow(
      `is for ${otherArchitecture}.`,
    );
    expect(() => read(makeSdk({ files: sdkFiles(binding) }))).toThrow(/no PKCS#11 library/);
    const newer = Buffer.from(softHsm().toString('latin1').replaceAll('GLIBC_2.', 'GLIBC_9.'), 'latin1');
    expect(newer.length).toBe(softHsm().length);
    expect(() => read(makeSdk({ files: sdkFiles(newer) }))).toThrow(
      /was built for glibc .*, and Lambda's Amazon Linux 2023 has 2.34/,
    );
  });
});

describe('the configuration', () => {
  it('has each HSM, the trust anchor, and the log on the terminal', () => {
    const text = clientConfiguration({ hsmAddresses: ['10.0.1.5', '10.0.2.7'], isKeyAvailabilityCheckDisabled: false });
    expect(JSON.parse(text)).toEqual({
      clusters: [
        {
          type: 'hsm1',
          cluster: {
            hsm_ca_file: '/opt/cloudhsm/etc/customerCA.crt',
            servers: [
              { hostname: '10.0.1.5', port: 2223, enable: true },
              { hostname: '10.0.2.7', port: 2223, enable: true },
            ],
          },
        },
      ],
      logging: { log_type: 'term', log_file: '/tmp/cloudhsm-pkcs11.log', log_level: 'info', log_interval: 'daily' },
    });
  });

  it('lets keys on one HSM be used only when that was asked for', () => {
    const [kept, given] = [false, true].map((isKeyAvailabilityCheckDisabled) =>
      clientConfiguration({ hsmAddresses: ['10.0.1.5'], isKeyAvailabilityCheckDisabled }),
    );
    expect(kept).not.toContain('disable_key_availability_check');
    expect(given).toContain('"disable_key_availability_check": true');
  });
});

describe('customerCA.crt', () => {
  const read = (bytes: Buffer) => readCustomerCa('customerCA.crt', bytes);

  it('is taken alone, whatever stands round it', () => {
    const pem = readFileSync(caFile);
    const plain = read(pem);
    expect(read(Buffer.concat([Buffer.from('subject=CN = customerCA\n'), pem]))).toMatchObject({ pem: plain.pem });
    expect(plain).toMatchObject({ subject: 'O=Doors, CN=customerCA' });
    expect(plain.pem).toMatch(/^-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n$/);
  });

  it('with its private key is refused, and the key not shown', () => {
    const both = Buffer.concat([readFileSync(caFile), readFileSync(caKey)]);
    expect(() => read(both)).toThrow('customerCA.crt holds a private key, which must not come into a layer.');
  });

  it('that is none, two, broken or no CA of its own is refused', () => {
    const pem = readFileSync(caFile);
    const { clusterCertificate } = makeClusterCertificates(Date.now(), (size) => Buffer.alloc(size, 7));
    expect(() => read(Buffer.from('hello'))).toThrow('holds 0 certificates in PEM, not one.');
    expect(() => read(Buffer.concat([pem, pem]))).toThrow('holds 2 certificates in PEM, not one.');
    expect(() => read(Buffer.from(clusterCertificate))).toThrow(/is no CA's that is signed by itself/);
    expect(() => read(Buffer.from(pem.toString().replace(/\n[^-\n]{20}/, '\nAAAAAAAAAAAAAAAAAAAA')))).toThrow(
      /cannot be read/,
    );
  });

  it("that did not sign the cluster's certificate is refused", () => {
    const cluster = makeClusterCertificates(Date.now(), (size) => Buffer.alloc(size, 7));
    const ca = read(Buffer.from(cluster.trustAnchorCertificate));
    expect(() => requireSigned('ca', ca, cluster.clusterCertificate)).not.toThrow();
    expect(() => requireSigned('ca', read(readFileSync(caFile)), cluster.clusterCertificate)).toThrow(
      /did not sign that/,
    );
  });
});

describe('a cluster', () => {
  const describing = (clusters: readonly unknown[]) => {
    const client = new CloudHSMV2Client({ region: 'eu-central-1' });
    client.send = () => Promise.resolve({ Clusters: clusters });
    return describeCluster(client, 'cluster-abcdefghijk');
  };
  const hsm = (address: string, state: string) => ({ EniIp: address, State: state });

  it('gives the addresses of the HSMs that work, in one order', async () => {
    const hsms = [hsm('10.0.2.7', 'ACTIVE'), hsm('10.0.3.9', 'DELETE_IN_PROGRESS'), hsm('10.0.1.5', 'ACTIVE')];
    const cluster = { ClusterId: 'cluster-abcdefghijk', Hsms: hsms, Certificates: { ClusterCertificate: 'pem' } };
    await expect(describing([cluster])).resolves.toEqual({
      hsmAddresses: ['10.0.1.5', '10.0.2.7'],
      certificate: 'pem',
    });
  });

  it('that is not there, or has no HSM that works, is refused', async () => {
    await expect(describing([])).rejects.toThrow('There is no cluster cluster-abcdefghijk here.');
    const idle = { ClusterId: 'cluster-abcdefghijk', Hsms: [hsm('10.0.1.5', 'CREATE_IN_PROGRESS')] };
    await expect(describing([idle])).rejects.toThrow('cluster-abcdefghijk has no HSM that is ACTIVE.');
  });
});

describe('what is typed', () => {
  const needed = ['--sdk', 'a.rpm', '--ca', 'b.crt', '--out', 'c.zip'];

  it('is arm64 unless it says otherwise', () => {
    expect(parseArguments([...needed, '--hsm-ips', '10.0.1.5, fd00::7'])).toMatchObject({
      architecture: 'arm64',
      hsms: { addresses: ['10.0.1.5', 'fd00::7'] },
      isKeyAvailabilityCheckDisabled: false,
    });
  });

  it.each([
    [['--sdk', 'a.rpm', '--hsm-ips', '10.0.1.5'], '--ca, --out must be given.'],
    [needed, 'One of --hsm-ips and --cluster-id must be given.'],
    [
      [...needed, '--hsm-ips', '10.0.1.5', '--cluster-id', 'cluster-a'],
      'One of --hsm-ips and --cluster-id must be given.',
    ],
    [[...needed, '--hsm-ips', '10.0.1.5,hsm.example.com'], '"hsm.example.com" is no IP address.'],
    [[...needed, '--hsm-ips', ''], '"" is no IP address.'],
    [[...needed, '--hsm-ips', '10.0.1.5,10.0.1.5'], '10.0.1.5 is given twice.'],
    [
      [...needed, '--hsm-ips', '10.0.1.5', '--architecture', 'aarch64'],
      '--architecture aarch64 is neither of arm64, x86_64.',
    ],
    [
      [...needed, '--hsm-ips', '10.0.1.5', '--sdk-sha256', 'abc'],
      '--sdk-sha256 is 64 hex digits, as AWS publishes them.',
    ],
    [[...needed, '--hsm-ip', '10.0.1.5'], /Unknown option '--hsm-ip'/],
    [['sdk.rpm'], /Unexpected argument 'sdk.rpm'/],
  ])('%s is refused', (args, sentence) => {
    expect(() => parseArguments(args)).toThrow(sentence);
  });
});

it.runIf(isLinux)(
  "a layer holds our configuration in place of the package's, and is the same for the same inputs",
  () => {
    const pkcs11js = {
      version: '2.1.7',
      nodeVersion: '24.21.0',
      files: [{ path: 'nodejs/node_modules/pkcs11js/build/Release/pkcs11.node', content: binding, isExecutable: true }],
    };
    const build = () =>
      buildLayer({
        architecture: ownArchitecture,
        sdk: readClientSdk('sdk.rpm', makeSdk(), {
          architecture: ownArchitecture,
          expectedSha256: undefined,
          decompress,
        }),
        customerCa: readCustomerCa('customerCA.crt', readFileSync(caFile)),
        configuration: { hsmAddresses: ['10.0.1.5'], isKeyAvailabilityCheckDisabled: false },
        pkcs11js,
        compilerVersion: '0.15.2',
      });
    const zip = build();
    const unpacked = new Map(
      readZip(zip, unzippedLimit).map(({ path, content }) => [path, Buffer.from(content).toString()]),
    );
    expect(unpacked.get('cloudhsm/etc/cloudhsm-pkcs11.cfg')).toContain('10.0.1.5');
    expect(unpacked.get('cloudhsm/etc/customerCA.crt')).toContain('BEGIN CERTIFICATE');
    expect(readLayer(zip).manifest.inputs).toMatchObject({
      sdk: { version: '5.17.1-1.amzn2023' },
      customerCa: { subject: 'O=Doors, CN=customerCA' },
      hsmAddresses: ['10.0.1.5'],
    });
    expect(build().equals(zip)).toBe(true);
    expect(zip.includes(Buffer.from(join(folder, '')))).toBe(false);
  },
);
