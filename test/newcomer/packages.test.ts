import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { publint } from 'publint';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { npm, offline, ROOT, succeeded } from './registry.ts';

/** Imports everything that the packages export, and uses some of it. */
const CONSUMER = `
import { dial, type Connection } from 'gitaly-client';
import * as slimRails from 'gitaly-client/rails';
import * as slimMessages from 'gitaly-client/messages';
import * as server from 'gitaly-ts';
import * as testing from 'gitaly-ts/testing';
import * as gateway from 'gitaly-ts/gateway';
import * as client from 'gitaly-ts/client';
import * as rails from 'gitaly-ts/client/rails';
import * as messages from 'gitaly-ts/messages';

export async function subject(connection: Connection): Promise<string> {
  const repository = { storageName: 'default', relativePath: 'a.git' };
  const { commit } = await connection.commit.findCommit({ repository, revision: Buffer.from('main') });
  // @ts-expect-error: the name of a field is checked
  commit?.noSuchField;
  return Buffer.from(commit?.subject ?? []).toString();
}
export const all: readonly object[] = [
  dial, slimRails, slimMessages, server, testing, gateway, client, rails, messages,
];
`;

/** Starts a test server on every listener, and calls it with both client libraries. */
const PROGRAM = `
const [{ startGitaly }, slim, { GitalyServer }] = await Promise.all([
  import('gitaly-ts/testing'), import('gitaly-client'), import('gitaly-ts'),
]);
const gitaly = await startGitaly({ tcp: true, tls: true });
const repository = { storageName: 'default', relativePath: 'a.git' };
await gitaly.connection.repository.createRepository({ repository });
const connection = await slim.dial(gitaly.address);
const { exists } = await connection.repository.repositoryExists({ repository });
await connection.close();
console.log(exists, Object.keys(gitaly.addresses).sort().join(), typeof GitalyServer);
await gitaly[Symbol.asyncDispose]();
`;
const PRINTED = 'true internal,tcp,tls,unix function\n';

const REQUIRE = `
const names = ['gitaly-ts', 'gitaly-ts/testing', 'gitaly-ts/client', 'gitaly-client'];
console.log(names.every((name) => Object.keys(require(name)).length > 0));
`;

const RESOLUTIONS = [
  { module: 'nodenext', moduleResolution: 'nodenext' },
  { module: 'node16', moduleResolution: 'node16' },
  { module: 'esnext', moduleResolution: 'bundler' },
];
const COMPILERS = { 'TypeScript 7': 'typescript', 'TypeScript 5.9': 'typescript-5.9' };

const directory = makeScratchDirectory('packages');
const skip = await offline();
after(() => rmSync(directory, { recursive: true, force: true }));

/** Paths of the tarballs, of `gitaly-ts` and `gitaly-client`. */
let tarballs: readonly string[] = [];
before(async () => {
  const made = await succeeded(process.execPath, [join(ROOT, 'scripts/make-packages.ts'), directory]);
  tarballs = made.trim().split('\n');
});

function project(name: string): string {
  const folder = join(directory, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  return folder;
}

test('publint and attw find nothing to improve', async () => {
  for (const tarball of tarballs) {
    const { buffer } = Uint8Array.from(readFileSync(tarball));
    const { messages } = await publint({ pack: { tarball: buffer }, level: 'suggestion' });
    assert.deepEqual(messages, [], tarball);
    await succeeded(join(ROOT, 'node_modules/.bin/attw'), [tarball, '--profile', 'esm-only', '--no-emoji']);
  }
});

test('the list of components names what is installed, with checksums', () => {
  for (const tarball of tarballs) {
    const path = tarball.replace(/\.tgz$/, '.cdx.json');
    const { components, metadata } = JSON.parse(readFileSync(path, 'utf8'));
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const isClient = metadata.component.name === 'gitaly-client';
    for (const name of isClient ? ['@bufbuild/protobuf'] : Object.keys(dependencies)) {
      const found = components.find(({ purl }: { purl: string }) =>
        decodeURIComponent(purl).startsWith(`pkg:npm/${name}@`),
      );
      assert.match(found?.hashes[0].alg, /^SHA-512$/, name);
    }
    assert.equal(isClient ? components.length : components.length > 5, isClient ? 1 : true);
  }
});

suite('installed into an empty project', { skip }, () => {
  let folder: string;
  before(async () => {
    folder = project('installed');
    await npm(folder, 'install', '--no-audit', '--no-fund', '--ignore-scripts', ...tarballs);
    mkdirSync(join(folder, 'node_modules/@types'), { recursive: true });
    for (const name of ['@types/node', 'undici-types'])
      symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
    writeFileSync(join(folder, 'program.js'), PROGRAM);
    writeFileSync(join(folder, 'program.cjs'), REQUIRE);
    writeFileSync(join(folder, 'consumer.ts'), CONSUMER);
  });

  for (const [name, compiler] of Object.entries(COMPILERS)) {
    for (const resolution of RESOLUTIONS) {
      test(`${name} accepts the declarations with ${resolution.moduleResolution}`, async () => {
        const lib = ['es2024', 'esnext.disposable'];
        const options = { target: 'es2024', lib, ...resolution, strict: true, types: ['node'], noEmit: true };
        const path = join(folder, `tsconfig.${compiler}.${resolution.moduleResolution}.json`);
        writeFileSync(path, JSON.stringify({ compilerOptions: options, files: ['consumer.ts'] }));

        await succeeded(process.execPath, [join(ROOT, 'node_modules', compiler, 'bin/tsc'), '-p', path]);
      });
    }
  }

  test('this Node runs it as a module and by require(), and the programs start', async () => {
    await runs(process.execPath);

    for (const name of ['gitaly', 'gitaly-ts', 'gitaly-hooks', 'gitaly-ssh', 'gitaly-lfs-smudge']) {
      const program = join(folder, 'node_modules/.bin', name);
      assert.match(await succeeded(program, ['--version'], folder), /, version \d/, name);
    }
  });

  test('Node 24 runs it as a module and by require()', async () => {
    await runs(await node24());
  });

  test('without the optional packages it runs too', async () => {
    for (const name of ['koffi', '@koromix']) rmSync(join(folder, 'node_modules', name), { recursive: true });

    await runs(process.execPath);
    const doctor = join(folder, 'node_modules/.bin/gitaly-ts');
    assert.match(await succeeded(doctor, ['doctor'], folder), /optional package koffi/);
  });

  async function runs(node: string): Promise<void> {
    assert.equal(await succeeded(node, ['program.js'], folder), PRINTED);
    assert.equal(await succeeded(node, ['program.cjs'], folder), 'true\n');
  }
});

/** Returns Node 24, which is kept between runs. */
async function node24(): Promise<string> {
  const cache = join(ROOT, '.cache/node-24');
  const name = `node-${process.platform}-${process.arch}`;
  const program = join(cache, 'node_modules', name, 'bin/node');
  if (!existsSync(program)) {
    mkdirSync(cache, { recursive: true });
    await npm(dirname(cache), 'install', '--prefix', cache, '--no-audit', '--no-fund', `${name}@24`);
  }
  return program;
}
