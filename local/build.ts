import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';

import { build as bundle, type OutputFile } from 'esbuild';
import {
  ProfileError,
  type ProfileProblem,
  plainDeviceId,
  readProfiles,
  specimenProblems,
} from '../shared/issuance/index.ts';

const repository = dirname(import.meta.dirname);

/** The functions that use the HSM: each gets the PKCS#11 worker beside it, since a thread has a file of its own. */
const functionsWithWorker: ReadonlySet<string> = new Set(['issue', 'check-cluster', 'check-signer', 'reconcile']);

/** The functions that issue. Nothing of @peculiar may be in them: its codec is for what is not per certificate. */
const functionsThatIssue: ReadonlySet<string> = new Set(['issue', 'reconcile']);

/** The functions that go by profiles: each gets them beside it. */
const functionsWithProfiles: ReadonlySet<string> = new Set([...functionsThatIssue, 'relint']);

/** Some CommonJS dependencies call `require` at run time, which an ES module does not have. */
const requireForCommonJs =
  "import { createRequire as createRequireForBundle } from 'node:module'; const require = createRequireForBundle(import.meta.url);";

export interface BuiltFunction {
  readonly name: string;
  /** dist/<name>, absolute. */
  readonly folder: string;
  /** Size of each file in it that is loaded, in bytes; source maps and profiles are not. */
  readonly bundles: Readonly<Record<string, number>>;
}

/**
 * Bundles every functions/<name>.ts into dist/<name>/index.mjs, alike for AWS, LocalStack and the embedded cloud. Files
 * whose content stays the same are left alone and the others are replaced whole, so that a build does not disturb what
 * already runs from dist. Folders in dist that no function stands behind are removed.
 *
 * @throws {Error} esbuild's, ProfileError, or a sentence about what may not be in a bundle
 */
export async function build(project: string = repository): Promise<BuiltFunction[]> {
  const dist = join(project, 'dist');
  const names = (await listed(join(project, 'functions')))
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => name.slice(0, -'.ts'.length))
    .sort();
  const profiles = names.some((name) => functionsWithProfiles.has(name)) ? await profileFiles(project) : [];
  const files = await bundleAll(project, dist, names);
  const built = await Promise.all(names.map((name) => writeFunction(name, join(dist, name), files, profiles)));
  await removeAllBut(dist, new Set(names));
  return built;
}

/** All functions in one go, so that what they share is read and parsed once. By absolute path. */
async function bundleAll(
  project: string,
  dist: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const entryPoints = names.flatMap((name) => {
    const handler = { in: join(project, 'functions', `${name}.ts`), out: join(name, 'index') };
    const worker = { in: join(project, 'shared', 'signer', 'pkcs11-worker.ts'), out: join(name, 'pkcs11-worker') };
    return functionsWithWorker.has(name) ? [handler, worker] : [handler];
  });
  const { outputFiles, metafile } = await bundle({
    entryPoints,
    outdir: dist,
    absWorkingDir: project,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    // The AWS SDK's ES modules leave out what is not called; its CommonJS form, the default for node, does not.
    mainFields: ['module', 'main'],
    target: 'node24',
    minify: false,
    sourcemap: 'linked',
    external: ['pkcs11js'],
    banner: { js: requireForCommonJs },
    metafile: true,
    write: false,
    logLevel: 'silent',
  });
  for (const [path, { inputs }] of Object.entries(metafile.outputs)) {
    const name = relative(dist, join(project, path)).split('/')[0] ?? '';
    if (functionsThatIssue.has(name)) refuseInBundle(name, '@peculiar/', Object.keys(inputs));
  }
  return new Map(outputFiles.map((file: OutputFile) => [file.path, file.contents]));
}

async function writeFunction(
  name: string,
  folder: string,
  bundled: ReadonlyMap<string, Uint8Array>,
  profiles: readonly (readonly [string, Uint8Array])[],
): Promise<BuiltFunction> {
  const files = new Map<string, Uint8Array>();
  for (const [path, contents] of bundled) {
    if (dirname(path) === folder) files.set(relative(folder, path), contents);
  }
  if (functionsWithProfiles.has(name)) {
    for (const [path, contents] of profiles) files.set(path, contents);
  }
  for (const [path, contents] of files) await replace(join(folder, path), contents);
  await removeAllBut(folder, new Set([...files.keys()].map((path) => path.split('/')[0] ?? path)));
  await removeAllBut(join(folder, 'profiles'), new Set([...files.keys()].map((path) => path.split('/')[1] ?? '')));

  const bundles = [...files]
    .filter(([path]) => path.endsWith('.mjs'))
    .map(([path, contents]) => [path, contents.length]);
  return { name, folder, bundles: Object.fromEntries(bundles) as Record<string, number> };
}

function refuseInBundle(name: string, scope: string, inputs: readonly string[]): void {
  const found = inputs.find((path) => path.includes(`node_modules/${scope}`));
  if (found === undefined) return;
  throw new Error(
    `functions/${name}.ts bundles ${found}: ${scope}* is too slow for the issuing path and must not be imported on it.`,
  );
}

/** @throws ProfileError for a profile that is broken, or makes no certificate: that must fail the build, never a request */
async function profileFiles(project: string): Promise<[string, Uint8Array][]> {
  const files: [string, Uint8Array][] = [];
  const problems: ProfileProblem[] = [];
  for (const profile of readProfiles(pathToFileURL(`${join(project, 'profiles')}/`)).values()) {
    const file = `${profile.name}.yaml`;
    const contents = await readFile(join(project, 'profiles', file));
    const source = { file, yaml: contents.toString('utf8'), profile };
    problems.push(...specimenProblems(source, plainDeviceId, Date.now(), randomBytes));
    files.push([join('profiles', file), contents]);
  }
  if (problems.length > 0) throw new ProfileError(problems);
  return files;
}

async function listed(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function replace(path: string, contents: Uint8Array): Promise<void> {
  const before = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (before?.equals(contents) === true) return;
  await mkdir(dirname(path), { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  await writeFile(unfinished, contents);
  await rename(unfinished, path);
}

async function removeAllBut(folder: string, kept: ReadonlySet<string>): Promise<void> {
  for (const name of await listed(folder)) {
    if (!kept.has(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

if (import.meta.main) {
  try {
    for (const { name, bundles } of await build()) {
      const sizes = Object.entries(bundles).map(([path, size]) => `${path} ${(size / 1024).toFixed(0)} KB`);
      console.log(`dist/${name}: ${sizes.join(', ')}`);
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
