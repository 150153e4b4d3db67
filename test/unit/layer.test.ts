import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { describe, expect, it } from 'vitest';
import { command } from '../../cli/commands/layer-publish.ts';
import type { Session } from '../../cli/session.ts';
import { targetOf } from '../../cli/target.ts';
import { readInstalled } from '../../local/setup/installed.ts';
import {
  compareVersions,
  hexSha256,
  LayerError,
  manifestPath,
  packLayer,
  readLayer,
  readSharedObject,
  readZip,
  unzippedLimit,
  writeZip,
  ZipError,
} from '../../shared/layer/index.ts';
import {
  about,
  binding,
  isLinux,
  layerContent,
  makeLayer,
  ofOtherArchitecture,
  otherArchitecture,
  ownArchitecture,
  softHsm,
} from '../support/layer.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const textFile = (path: string, text: string) => ({ path, content: Buffer.from(text), isExecutable: false });

describe('a zip', () => {
  it('is read as it was written, sorted by path, with one time and one of two modes', () => {
    const files = [{ path: 'b/run', content: Buffer.alloc(100_000, 'x'), isExecutable: true }, textFile('a', '')];
    const zip = writeZip(files);
    expect(readZip(zip, 1_000_000)).toEqual([files[1], files[0]]);
    expect(writeZip(files.toReversed())).toEqual(zip);
    expect(zip.length).toBeLessThan(1_000);
  });

  it('that is damaged anywhere is refused or reads as it was, and never anything else', () => {
    const files = [textFile('a', 'hello'), textFile('b/c', 'world')];
    const zip = writeZip(files);
    const refused = Array.from(zip, (byte, at) => {
      const damaged = Buffer.from(zip);
      damaged[at] = byte ^ 0xff;
      try {
        // A name, a mode and a time have no checksum; their bytes are in the layer's manifest, or of no consequence.
        expect(readZip(damaged, 1_000).map(({ content }) => content.toString())).toEqual(['hello', 'world']);
        return false;
      } catch (error) {
        expect(error).toBeInstanceOf(ZipError);
        return true;
      }
    });
    expect(refused.filter(Boolean).length).toBeGreaterThan(zip.length / 3);
    for (let end = 0; end < zip.length; end += 1) expect(() => readZip(zip.subarray(0, end), 1_000)).toThrow(ZipError);
  });

  it.each(['../out', '/etc/passwd', 'a//b', 'a/./b', 'a\\b', ''])('with the path "%s" is refused', (path) => {
    expect(() => readZip(writeZip([textFile(path, 'x')]), 1_000)).toThrow(/no path below its root/);
  });

  it('with one path twice, or more than was allowed, is refused', () => {
    expect(() => readZip(writeZip([textFile('a', 'x'), textFile('a', 'y')]), 1_000)).toThrow('It holds a twice.');
    expect(() => readZip(writeZip([textFile('a', 'xxxx')]), 3)).toThrow('Unpacked it is larger than 3 bytes.');
  });

  it('that unpacks to more than it says is not unpacked', () => {
    const zip = writeZip([textFile('a', 'x'.repeat(10_000))]);
    const packed = deflateRawSync('x'.repeat(10_000), { level: 9 });
    // "uncompressed size" of the directory's entry.
    const at = zip.indexOf(Buffer.from([0x50, 0x4b, 1, 2])) + 24;
    expect([zip.readUInt32LE(at), zip.readUInt32LE(at - 4)]).toEqual([10_000, packed.length]);
    zip.writeUInt32LE(10, at);
    expect(() => readZip(zip, 1_000)).toThrow(ZipError);
  });

  it('with a symbolic link is refused', () => {
    const zip = writeZip([textFile('a', '/etc/passwd')]);
    zip.writeUInt32LE((0o120777 << 16) >>> 0, zip.indexOf(Buffer.from([0x50, 0x4b, 1, 2])) + 38);
    expect(() => readZip(zip, 1_000)).toThrow('a in it is no regular file.');
  });
});

describe.runIf(isLinux)('a shared object', () => {
  it('says what readelf says of it', () => {
    const object = readSharedObject(softHsm());
    const readelf = (...args: readonly string[]) =>
      execFileSync('readelf', ['-W', ...args, readInstalled().softhsm2Library], { encoding: 'utf8' });
    const needed = [...readelf('-d').matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name);
    const versions = [...readelf('-V').matchAll(/GLIBC_([0-9.]+)/g)].map(([, version = '']) => version);
    expect(object?.needed).toEqual(needed);
    expect(object?.glibc).toBe(versions.sort(compareVersions).at(-1));
    expect(object?.architecture).toBe(ownArchitecture);
    expect(object?.exported.has('C_GetFunctionList')).toBe(true);
    // What it asks of others is not what it has.
    expect(object?.exported.has('malloc')).toBe(false);
  });

  it('for the other architecture says so; a program, a text, and one cut short are none', () => {
    expect(readSharedObject(ofOtherArchitecture(binding))?.architecture).toBe(otherArchitecture);
    expect(readSharedObject(Buffer.from('#!/bin/sh\n'))).toBeUndefined();
    expect(readSharedObject(binding.subarray(0, 1_000))).toBeUndefined();
    expect(readSharedObject(Buffer.alloc(0))).toBeUndefined();
  });

  it('versions are compared as numbers', () => {
    expect(['2.9', '2.34', '2.4', '2.34.1', '2'].sort(compareVersions)).toEqual(['2', '2.4', '2.9', '2.34', '2.34.1']);
  });
});

describe.runIf(isLinux)('a layer', () => {
  /** With a file in the zip changed after the manifest was written. */
  const changed = (change: (files: ReturnType<typeof readZip>) => ReturnType<typeof readZip>): Buffer =>
    writeZip(change(readZip(makeLayer(), unzippedLimit)));

  it('is read back with the manifest that it was packed with', () => {
    const zip = makeLayer({ 'cloudhsm/etc/customerCA.crt': Buffer.from('pem') });
    const { manifest, unzippedSize } = readLayer(zip);
    expect(manifest).toMatchObject(about);
    expect(manifest.files).toContainEqual({
      path: 'cloudhsm/etc/customerCA.crt',
      size: 3,
      sha256: hexSha256(Buffer.from('pem')),
    });
    expect(unzippedSize).toBe(readZip(zip, unzippedLimit).reduce((sum, { content }) => sum + content.length, 0));
    expect(makeLayer({ 'cloudhsm/etc/customerCA.crt': Buffer.from('pem') })).toEqual(zip);
  });

  it('that was changed, added to or taken from is refused', () => {
    const files = (path: string, content: string) => ({ path, content: Buffer.from(content), isExecutable: false });
    const libraryPath = 'cloudhsm/lib/libcloudhsm_pkcs11.so';
    expect(() => readLayer(changed((all) => [...all, files('nodejs/evil.js', 'x')]))).toThrow(
      'nodejs/evil.js in it is not in its manifest: it was added.',
    );
    expect(() => readLayer(changed((all) => all.filter(({ path }) => path !== libraryPath)))).toThrow(
      `${libraryPath} is missing in it.`,
    );
    expect(() =>
      readLayer(changed((all) => all.map((file) => (file.path === libraryPath ? files(libraryPath, 'x') : file)))),
    ).toThrow(`${libraryPath} in it is not what its manifest says: it was changed.`);
  });

  it('of somebody else, or no zip, is refused', () => {
    expect(() => readLayer(writeZip([textFile('nodejs/index.js', 'x')]))).toThrow(
      /It is no layer that npm run layer made/,
    );
    expect(() => readLayer(writeZip([textFile(manifestPath, '{"format":"other"}')]))).toThrow(/cannot be read/);
    expect(() => readLayer(writeZip([textFile(manifestPath, 'not JSON')]))).toThrow(LayerError);
    expect(() => readLayer(Buffer.from('hello'))).toThrow('It cannot be read. It is no zip, or cut short.');
  });

  it('of another architecture than it says is neither made nor read', () => {
    const other = ofOtherArchitecture(binding);
    const bindingPath = 'nodejs/node_modules/pkcs11js/build/Release/pkcs11.node';
    const sentence = `${bindingPath} in it is for ${otherArchitecture}, and the layer is for ${ownArchitecture}.`;
    expect(() => makeLayer({ [bindingPath]: other })).toThrow(sentence);
    // With a manifest that fits every byte, and lies about the architecture alone.
    const lying = changed((all) =>
      all.map((file) =>
        file.path === manifestPath
          ? { ...file, content: Buffer.from(file.content.toString().replace(ownArchitecture, otherArchitecture)) }
          : file,
      ),
    );
    expect(() => readLayer(lying)).toThrow(/is for .*, and the layer is for/);
  });

  it('without what is loaded from it is not made', () => {
    expect(() => packLayer(layerContent().slice(1), about)).toThrow(/libcloudhsm_pkcs11.so is missing/);
    expect(() => makeLayer({ 'cloudhsm/lib/libcloudhsm_pkcs11.so': binding })).toThrow(/no function C_GetFunctionList/);
    expect(() => makeLayer({ 'cloudhsm/lib/libcloudhsm_pkcs11.so': Buffer.from('x') })).toThrow(/no shared object/);
  });

  it('larger than Lambda unpacks is not made', () => {
    const large = { path: 'cloudhsm/lib/large', content: Buffer.alloc(unzippedLimit), isExecutable: false };
    expect(() => packLayer([...layerContent(), large], about)).toThrow(/and Lambda takes 262144000/);
  });
});

it('the pkcs11Library of deploy/parameters.yml is where the layer has it', () => {
  const parameters = readFileSync(new URL('../../deploy/parameters.yml', import.meta.url), 'utf8');
  expect(parameters).toContain('pkcs11Library: /opt/cloudhsm/lib/libcloudhsm_pkcs11.so');
});

describe.runIf(isLinux)('mintmark layer publish, when AWS', () => {
  const path = join(temporaryFolder('layer-publish'), 'layer.zip');

  /** @param answer of each call, by its name */
  const publish = async (answer: Readonly<Record<string, () => object>>) => {
    writeFileSync(path, makeLayer());
    const lambda = new LambdaClient({ region: 'eu-central-1' });
    lambda.send = (command: object) =>
      Promise.resolve().then(() => answer[command.constructor.name]?.() ?? expect.fail(command.constructor.name));
    const session = { target: () => targetOf({ stage: 'prod' }, {}), clients: { lambda: async () => lambda } };
    return command.run(session as unknown as Session, { name: 'cloudhsm' }, [path]);
  };

  const failing = (name: string) => () => {
    throw Object.assign(new Error(`User is not authorized (${name})`), { name });
  };

  it('knows no layer of that name, publishes its first version', async () => {
    const CodeSha256 = createHash('sha256').update(makeLayer()).digest('base64');
    const result = await publish({
      ListLayerVersionsCommand: failing('ResourceNotFoundException'),
      PublishLayerVersionCommand: () => ({ LayerVersionArn: 'arn:1', Content: { CodeSha256 } }),
    });
    expect(result).toMatchObject({ exitCode: 0, json: { change: 'published', layerArn: 'arn:1' } });
    expect(result).toMatchObject({ lines: expect.arrayContaining(['prod:', '  layerArn: arn:1']) });
  });

  it('allows it to nobody but who deploys, says which actions it takes', async () => {
    await expect(publish({ ListLayerVersionsCommand: failing('AccessDeniedException') })).rejects.toMatchObject({
      name: 'UsageError',
      cure: expect.stringContaining('lambda:PublishLayerVersion'),
    });
    await expect(publish({ ListLayerVersionsCommand: failing('TooManyRequestsException') })).rejects.toMatchObject({
      name: 'TooManyRequestsException',
    });
  });

  it('has stored something else, says not to deploy it', async () => {
    const stored = { LayerVersionArn: 'arn:1', Content: { CodeSha256: 'other' } };
    const answers = { ListLayerVersionsCommand: () => ({}), PublishLayerVersionCommand: () => stored };
    await expect(publish(answers)).rejects.toMatchObject({ cure: expect.stringContaining('Do not deploy it') });
  });
});
