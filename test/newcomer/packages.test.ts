import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { publint } from 'publint';
import { NO_OLD_NODE, oldNode } from '#testkit/programs/old-node';
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

/** The same from a file that is compiled to `require()`. */
const CONSUMER_CTS = `
import { CallError, dial, type Connection } from 'gitaly-client';
import { ObjectFormat, RepositorySchema, create } from 'gitaly-client/messages';
import { startGitaly, type TestGitaly } from 'gitaly-ts/testing';
import { GitalyServer } from 'gitaly-ts';

export async function code(connection: Connection, gitaly: TestGitaly): Promise<string | undefined> {
  const format: ObjectFormat = ObjectFormat.SHA1;
  // @ts-expect-error: the name of a field is checked
  create(RepositorySchema, { noSuchField: format });
  const error: unknown = await connection.server.serverInfo({}).catch((reason) => reason);
  return error instanceof CallError ? error.code + gitaly.address : undefined;
}
export const all: readonly object[] = [dial, startGitaly, GitalyServer];
`;

/** An application with the client, whose tests use the test kit of the other package. */
const MIXED = `
import { CallError, collect, commitFiles, Metadata, type Connection } from 'gitaly-client';
import { Repository } from 'gitaly-client/repository';
import { CallError as ServersCallError, Metadata as ServersMetadata } from 'gitaly-ts/client';
import { startGitaly } from 'gitaly-ts/testing';

interface Place { storageName: string; relativePath: string }
async function application(connection: Connection, repository: Place) {
  const user = { glId: 'user-1', name: Buffer.from('A'), email: Buffer.from('a@example.com') };
  const branchName = Buffer.from('topic');
  const [startBranchName, commitMessage] = [Buffer.from('main'), Buffer.from('x')];
  const header = { repository, user, branchName, startBranchName, commitMessage };
  await commitFiles(connection, header, [{ type: 'create', path: 'f', content: Buffer.from('text') }]);
  const head = await new Repository(connection, { path: repository.relativePath }).findCommit('topic');
  const missing = { repository: { ...repository, relativePath: 'none.git' }, revision: Buffer.from('x') };
  const error: unknown = await connection.commit.countCommits(missing).catch((reason: unknown) => reason);
  return [head?.message, error instanceof CallError && error.code] as const;
}

await using gitaly = await startGitaly();
const repository = await gitaly.createRepository({ commits: 1 });
const connection: Connection = gitaly.connection;
const metadata: Metadata = ServersMetadata.from({ 'x-one': '1' });
await connection.server.serverInfo({}, { metadata: Metadata.from(metadata) });
const back: ServersMetadata = Metadata.from({ 'x-two': '2' });
await connection.server.serverInfo({}, { metadata: back });
const other: CallError | undefined = undefined as ServersCallError | undefined;
const results = await application(connection, repository);
console.log(JSON.stringify([...results, Metadata.from(metadata).get('x-one'), typeof collect, other]));
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
const made = await gitaly.createRepository({ commits: 1 });
const user = { glId: 'user-1', name: Buffer.from('A'), email: Buffer.from('a@example.com') };
const header = { repository: made, user, branchName: Buffer.from('main'), commitMessage: Buffer.from('x') };
await slim.commitFiles(gitaly.connection, header, [
  { type: 'create', path: 'a.rb', content: Buffer.from('puts 1') },
]);
const { languages } = await gitaly.connection.commit.commitLanguages({ repository: made });
if (languages[0]?.name !== 'Ruby') throw new Error('the thread that detects languages did not work');
console.log(exists, Object.keys(gitaly.addresses).sort().join(), typeof GitalyServer);
await gitaly[Symbol.asyncDispose]();
`;
const PRINTED = 'true internal,tcp,tls,unix function\n';

const REQUIRE = `
const names = ['gitaly-ts', 'gitaly-ts/testing', 'gitaly-ts/client', 'gitaly-client'];
console.log(names.every((name) => Object.keys(require(name)).length > 0));
`;

/**
 * With its documentation and 0.3 MB of other packages; 25 MB in 3,684 files when each module was
 * there next to the bundles.
 */
const MAX_BYTES = 10_400_000;
const MAX_FILES = 1000;

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
    // Node 24 answers require() with the ES module, for which .d.cts has the declarations.
    const options = ['--profile', 'esm-only', '--ignore-rules', 'false-cjs', '--no-emoji'];
    await succeeded(join(ROOT, 'node_modules/.bin/attw'), [tarball, ...options]);
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
    writeFileSync(join(folder, 'consumer.cts'), CONSUMER_CTS);
    writeFileSync(join(folder, 'mixed.ts'), MIXED);
  });

  for (const [name, compiler] of Object.entries(COMPILERS)) {
    for (const resolution of RESOLUTIONS) {
      test(`${name} accepts the declarations with ${resolution.moduleResolution}`, async () => {
        const lib = ['es2024', 'esnext.disposable'];
        const options = { target: 'es2024', lib, ...resolution, strict: true, types: ['node'], noEmit: true };
        const files = ['consumer.ts', 'consumer.cts', 'mixed.ts'];
        const path = join(folder, `tsconfig.${compiler}.${resolution.moduleResolution}.json`);
        writeFileSync(path, JSON.stringify({ compilerOptions: options, files }));

        await succeeded(process.execPath, [join(ROOT, 'node_modules', compiler, 'bin/tsc'), '-p', path]);
      });
    }
  }

  test('an application with gitaly-client works with the test kit of gitaly-ts', async () => {
    assert.equal(
      await succeeded(process.execPath, ['mixed.ts'], folder),
      '["x","NOT_FOUND","1","object",null]\n',
    );
  });

  test('the package has its code once', () => {
    const installed = join(folder, 'node_modules/gitaly-ts');
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' }).filter((path) =>
      statSync(join(installed, path)).isFile(),
    );
    const bytes = files.reduce((sum, path) => sum + statSync(join(installed, path)).size, 0);
    assert.ok(files.length <= MAX_FILES, `${files.length} files`);
    assert.ok(bytes <= MAX_BYTES, `${bytes} bytes`);

    const page = readFileSync(join(ROOT, 'docs/install.md'), 'utf8');
    const [, ...written] =
      /`gitaly-ts` is ([\d.]+) MB, and ([\d.]+) MB in ([\d,]+) files\s.*`gitaly-client` is ([\d.]+) MB/s.exec(
        page,
      ) ?? [];
    const packed = tarballs.map((tarball) => statSync(tarball).size / 1e6);
    const actual = [packed[0], bytes / 1e6, files.length, packed[1]];
    for (const [index, size = 0] of actual.entries()) {
      const ratio = Number(written[index]?.replace(',', '')) / size;
      assert.ok(ratio > 0.95 && ratio < 1.05, `docs/install.md has ${written[index]}, it is ${size}`);
    }
  });

  test('this Node runs it as a module and by require(), and the programs start', async () => {
    await runs(process.execPath);

    const others = ['hooks', 'ssh', 'lfs-smudge', 'backup'].map((name) => `gitaly-${name}`);
    for (const name of ['gitaly', 'gitaly-ts', ...others]) {
      const program = join(folder, 'node_modules/.bin', name);
      assert.match(await succeeded(program, ['--version'], folder), /, version \d/, name);
    }
  });

  test('it says on an old Node which one it needs', { skip: NO_OLD_NODE }, () => {
    const manifest = readFileSync(join(folder, 'node_modules/gitaly-ts/package.json'), 'utf8');
    for (const path of Object.keys(JSON.parse(manifest).exports)) {
      const name = `gitaly-ts${path.slice(1)}`;
      for (const load of [`await import('${name}')`, `require('${name}')`]) {
        const { stderr } = spawnSync(oldNode ?? '', ['-e', `(async () => { ${load} })()`], {
          cwd: folder,
          encoding: 'utf8',
        });
        assert.match(stderr, /^Error: gitaly-ts needs Node 24 or newer, this is v[\d.]+$/m, load);
      }
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
