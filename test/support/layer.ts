import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readInstalled } from '../../local/setup/installed.ts';
import { glibcOfRuntime, type LayerFile, layerRuntime, type Manifest, packLayer } from '../../shared/layer/index.ts';
import { makeRpm, type RpmFile, type RpmOptions } from './rpm.ts';

/** What is compiled here can be put into a layer: Lambda is Linux. */
export const isLinux = process.platform === 'linux';

/** The architecture of this machine, as Lambda calls it. */
export const ownArchitecture = process.arch === 'arm64' ? 'arm64' : 'x86_64';
export const otherArchitecture = ownArchitecture === 'arm64' ? 'x86_64' : 'arm64';

/** A shared object of this machine's, said to be for the other architecture (e_machine). */
export function ofOtherArchitecture(object: Uint8Array): Buffer {
  const changed = Buffer.from(object);
  changed.writeUInt16LE(otherArchitecture === 'arm64' ? 183 : 62, 18);
  return changed;
}

/** pkcs11js as npm compiled it here. */
export const binding = readFileSync(
  fileURLToPath(new URL('../../node_modules/pkcs11js/build/Release/pkcs11.node', import.meta.url)),
);

export const softHsm = (): Buffer => readFileSync(readInstalled().softhsm2Library);

/** What a package of AWS's Client SDK 5 holds, with SoftHSM2's library in the place of AWS's. */
export const sdkFiles = (library: Uint8Array = softHsm()): RpmFile[] => [
  { path: '/opt/cloudhsm/bin/configure-pkcs11', content: Buffer.from('#!/bin/sh\n'), mode: 0o100755 },
  { path: '/opt/cloudhsm/etc/cloudhsm-pkcs11.cfg', content: Buffer.from('{"clusters": []}') },
  { path: '/opt/cloudhsm/include/pkcs11.h', content: Buffer.from('/* */') },
  { path: '/opt/cloudhsm/lib/libcloudhsm_pkcs11.so', content: library, mode: 0o100755 },
  { path: '/opt/cloudhsm/doc/LICENSE', content: Buffer.from('a license') },
  { path: '/usr/lib/.build-id/ab/cdef', target: '/opt/cloudhsm/lib/libcloudhsm_pkcs11.so' },
];

/** Such a package, for this machine's architecture. */
export const makeSdk = (over: Partial<RpmOptions> = {}): Buffer =>
  makeRpm({ architecture: ownArchitecture === 'arm64' ? 'aarch64' : 'x86_64', files: sdkFiles(), ...over });

/** A trust anchor as AWS's guide has it made. @returns its file, and its key's */
export function makeCustomerCa(folder: string): { readonly certificate: string; readonly key: string } {
  const [certificate, key] = [join(folder, 'customerCA.crt'), join(folder, 'customerCA.key')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const made = ['-keyout', key, '-out', certificate, '-subj', '/O=Doors/CN=customerCA', '-days', '30'];
  execFileSync('openssl', ['req', '-new', '-x509', ...curve, ...made], { stdio: 'ignore' });
  return { certificate, key };
}

const libraryFile = 'cloudhsm/lib/libcloudhsm_pkcs11.so';
const bindingFile = 'nodejs/node_modules/pkcs11js/build/Release/pkcs11.node';

/** What is in a layer besides its manifest, as far as anybody looks. */
export const layerContent = (over: Readonly<Record<string, Uint8Array>> = {}): LayerFile[] =>
  Object.entries({ [libraryFile]: softHsm(), [bindingFile]: binding, ...over }).map(([path, content]) => ({
    path,
    content,
    isExecutable: true,
  }));

export const about: Omit<Manifest, 'files'> = {
  format: 'mintmark-layer',
  version: 1,
  architecture: ownArchitecture,
  runtime: layerRuntime,
  glibc: glibcOfRuntime,
  inputs: {
    sdk: { name: 'cloudhsm-pkcs11', version: '5.17.1-1.amzn2023', sha256: 'ab'.repeat(32) },
    customerCa: { subject: 'CN=customerCA', sha256: 'cd'.repeat(32) },
    hsmAddresses: ['10.0.1.5', '10.0.2.7'],
    isKeyAvailabilityCheckDisabled: false,
    pkcs11js: '2.1.7',
    nodeHeaders: '24.21.0',
    ziglang: '0.15.2',
  },
};

/** A layer that may be published, of what was compiled for this machine. */
export const makeLayer = (over: Readonly<Record<string, Uint8Array>> = {}): Buffer =>
  packLayer(layerContent(over), about);
