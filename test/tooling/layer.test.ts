import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { installZiglang } from '../../deploy/layer/ziglang.ts';
import { findPython, missing } from '../../local/judges/prerequisites.ts';
import { isNetworkFailure } from '../../local/localstack/install.ts';
import {
  bindingPath,
  compareVersions,
  LayerError,
  libraryPath,
  readLayer,
  readSharedObject,
  readZip,
  unzippedLimit,
} from '../../shared/layer/index.ts';
import {
  isLinux,
  makeCustomerCa,
  makeSdk,
  ofOtherArchitecture,
  otherArchitecture,
  ownArchitecture,
  sdkFiles,
  softHsm,
} from '../support/layer.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** What the layer is really made with: pkcs11js as ziglang compiles it, and a package that the test makes. */

const program = fileURLToPath(new URL('../../deploy/layer/main.ts', import.meta.url));
const folder = temporaryFolder('layer');
const python = findPython();

/** The compiler, in the user's cache folder from the first time on; or why there is none. */
function whyNot(): string | undefined {
  if (!isLinux) return 'A layer is built on Linux.';
  if (python === undefined) return missing('python').sentence.replace(/^.* need /, 'ziglang needs ');
  try {
    installZiglang((line) => console.error(`set-up: ${line}`));
    return undefined;
  } catch (error) {
    if (error instanceof LayerError && isNetworkFailure(error.message)) return `${error.message} ${error.cure}`;
    throw error;
  }
}

const reason = whyNot();

/** As `npm run layer` runs it. */
const layer = (...args: readonly string[]) => spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });

const write = (name: string, content: Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

const ca = makeCustomerCa(folder).certificate;
const hsms = ['--hsm-ips', '10.0.1.5,10.0.2.7'];
const rpmArchitecture = { arm64: 'aarch64', x86_64: 'x86_64' } as const;

const built = (architecture: 'arm64' | 'x86_64', out: string) => {
  const library = architecture === ownArchitecture ? softHsm() : ofOtherArchitecture(softHsm());
  const rpm = makeSdk({ architecture: rpmArchitecture[architecture], files: sdkFiles(library) });
  const sdk = write(`cloudhsm-pkcs11.${architecture}.rpm`, rpm);
  const path = join(folder, out);
  const inputs = ['--sdk', sdk, '--ca', ca, ...hsms, '--architecture', architecture];
  const { status, stdout, stderr } = layer(...inputs, '--out', path, '--json');
  expect({ status, stderr }).toMatchObject({ status: 0 });
  return { zip: readFileSync(path), path, answer: JSON.parse(stdout) as { readonly sha256: string } };
};

/** As Lambda does with a layer, into another folder than /opt. */
function unpackTo(root: string, zip: Buffer): void {
  for (const { path, content } of readZip(zip, unzippedLimit)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

/** NODE_PATH in Lambda, but for its own folders (AWS Lambda developer guide, "Packaging your layer content"). */
const nodePath = (root: string): string => `${root}/nodejs/node24/node_modules:${root}/nodejs/node_modules`;

/** Signs in a thread, as the functions do, with what is found by NODE_PATH alone. */
const signing = `
import { createHash, createPublicKey, verify } from 'node:crypto';
import { createRequire } from 'node:module';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
if (isMainThread) new Worker(new URL(import.meta.url)).once('message', (text) => console.log(text));
else {
  const require = createRequire(import.meta.url);
  const binding = require('pkcs11js');
  const pkcs11 = new binding.PKCS11();
  pkcs11.load(process.env.LIBRARY);
  pkcs11.C_Initialize();
  const [free] = pkcs11.C_GetSlotList(true);
  pkcs11.C_InitToken(free, 'so pin', 'layer'.padEnd(32));
  const slot = pkcs11.C_GetSlotList(true).find((one) => pkcs11.C_GetTokenInfo(one).label.startsWith('layer'));
  const session = pkcs11.C_OpenSession(slot, binding.CKF_RW_SESSION | binding.CKF_SERIAL_SESSION);
  pkcs11.C_Login(session, binding.CKU_SO, 'so pin');
  pkcs11.C_InitPIN(session, 'user pin');
  pkcs11.C_Logout(session);
  pkcs11.C_Login(session, binding.CKU_USER, 'user pin');
  const p256 = Buffer.from('06082a8648ce3d030107', 'hex');
  const keys = pkcs11.C_GenerateKeyPair(
    session,
    { mechanism: binding.CKM_EC_KEY_PAIR_GEN },
    [{ type: binding.CKA_EC_PARAMS, value: p256 }],
    [{ type: binding.CKA_SIGN, value: true }],
  );
  pkcs11.C_SignInit(session, { mechanism: binding.CKM_ECDSA }, keys.privateKey);
  const signature = pkcs11.C_Sign(session, createHash('sha256').update('hello').digest(), Buffer.alloc(64));
  const [{ value: point }] = pkcs11.C_GetAttributeValue(session, keys.publicKey, [{ type: binding.CKA_EC_POINT }]);
  const spki = Buffer.concat([Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'), point.subarray(2)]);
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const isRight = verify('sha256', Buffer.from('hello'), { key, dsaEncoding: 'ieee-p1363' }, signature);
  pkcs11.C_Finalize();
  pkcs11.close();
  parentPort.postMessage(JSON.stringify({ isRight, resolved: require.resolve('pkcs11js') }));
}
`;

describe.skipIf(reason !== undefined)(`npm run layer${reason === undefined ? '' : `: ${reason}`}`, () => {
  let own: ReturnType<typeof built>;
  let other: ReturnType<typeof built>;
  beforeAll(() => {
    own = built(ownArchitecture, 'own.zip');
    other = built(otherArchitecture, 'other.zip');
    // The first time pkcs11js and the C++ run time are compiled, which takes minutes for each.
  }, 1_200_000);

  it("makes a layer whose pkcs11js and library load and sign on this machine's architecture", () => {
    const root = join(folder, 'opt');
    unpackTo(root, own.zip);
    const tokens = join(folder, 'tokens');
    mkdirSync(tokens);
    const configuration = write('softhsm2.conf', Buffer.from(`directories.tokendir = ${tokens}\n`));
    // Outside the checkout: nothing of its node_modules is on the way up.
    const script = write('sign.mjs', Buffer.from(signing));
    const environment = { NODE_PATH: nodePath(root), LIBRARY: join(root, libraryPath), SOFTHSM2_CONF: configuration };
    const { status, stdout, stderr } = spawnSync(process.execPath, [script], { env: environment, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({
      isRight: true,
      resolved: join(root, 'nodejs/node_modules/pkcs11js/index.js'),
    });
  });

  it.each(['own', 'other'] as const)(
    'compiles pkcs11js for Amazon Linux 2023 and every Node: the %s architecture',
    (which) => {
      const { zip, architecture } =
        which === 'own' ? { ...own, architecture: ownArchitecture } : { ...other, architecture: otherArchitecture };
      const binding = readZip(zip, unzippedLimit).find(({ path }) => path === bindingPath);
      const object = readSharedObject(binding?.content ?? Buffer.alloc(0));
      expect(object?.architecture).toBe(architecture);
      expect(compareVersions(object?.glibc ?? '99', '2.34')).toBeLessThanOrEqual(0);
      // Nothing but glibc: no C++ run time, which is in it.
      expect(object?.needed.filter((name) => !/^(libc\.so\.6|ld-linux-.*\.so\.\d)$/.test(name))).toEqual([]);
      // Node-API (Node's documentation, "Node-API"): no NODE_MODULE_VERSION, which would tie it to one major version.
      expect([...(object?.exported ?? [])].filter((name) => /napi|node/.test(name)).sort()).toEqual([
        'napi_register_module_v1',
        'node_api_module_get_api_version_v1',
      ]);
      expect(Buffer.from(binding?.content ?? []).includes(dirname(dirname(dirname(program))))).toBe(false);
    },
  );

  it('makes the same bytes of the same inputs, and says their SHA-256', () => {
    const again = built(ownArchitecture, 'again.zip');
    expect(again.zip.equals(own.zip)).toBe(true);
    expect(again.answer.sha256).toBe(own.answer.sha256);
  });

  it('makes a zip that others can read', () => {
    const list =
      'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print(*sorted(f"{i.external_attr >> 16:o} {i.filename}" for i in z.infolist()), sep="\\n")';
    expect(
      execFileSync(python ?? '', ['-c', list, own.path], { encoding: 'utf8' })
        .trim()
        .split('\n'),
    ).toEqual([
      '100644 cloudhsm/doc/LICENSE',
      '100644 cloudhsm/etc/cloudhsm-pkcs11.cfg',
      '100644 cloudhsm/etc/customerCA.crt',
      '100644 mintmark-layer.json',
      '100644 nodejs/node_modules/pkcs11js/LICENSE',
      '100644 nodejs/node_modules/pkcs11js/index.js',
      '100644 nodejs/node_modules/pkcs11js/package.json',
      '100755 cloudhsm/lib/libcloudhsm_pkcs11.so',
      '100755 nodejs/node_modules/pkcs11js/build/Release/pkcs11.node',
    ]);
  });

  it('makes a layer that is what publishing asks of one', () => {
    expect(readLayer(own.zip).manifest).toMatchObject({ architecture: ownArchitecture, runtime: 'nodejs24.x' });
    expect(readLayer(other.zip).manifest).toMatchObject({ architecture: otherArchitecture, runtime: 'nodejs24.x' });
  });
});

describe.runIf(isLinux)('npm run layer, with what it does not take', () => {
  const out = join(folder, 'refused.zip');

  it.each([
    ['nothing', [], 'layer: --sdk, --ca, --out must be given. Usage: npm run layer'],
    [
      'a package that is not there',
      ['--sdk', join(folder, 'absent.rpm'), '--ca', ca, '--out', out, ...hsms],
      'absent.rpm cannot be read (ENOENT).',
    ],
    [
      'a folder that is not there to write to',
      ['--sdk', ca, '--ca', ca, '--out', join(folder, 'absent', 'layer.zip'), ...hsms],
      'layer.zip cannot be written (ENOENT). Name another file with --out.',
    ],
    [
      'another file for a package',
      ['--sdk', ca, '--ca', ca, '--out', out, ...hsms],
      'is no RPM package. Give the one that AWS has',
    ],
    [
      "the other architecture's package",
      ['--sdk', write('other.rpm', makeSdk()), '--ca', ca, '--out', out, ...hsms, '--architecture', otherArchitecture],
      `, and the layer is to be for ${otherArchitecture}. Give AWS's package`,
    ],
  ])('%s: exit code 2 and a sentence', (_, args, sentence) => {
    const { status, stdout, stderr } = layer(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(sentence);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
