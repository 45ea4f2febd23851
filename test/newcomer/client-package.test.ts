import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { NO_OLD_NODE, oldNode } from '#testkit/programs/old-node';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';
import { npm, ROOT, succeeded } from './registry.ts';

/** Of the package with its dependency, in blocks of the disk: 4.6 MB when each module had declarations. */
const MAX_BYTES = 4_070_000;
const BLOCK_BYTES = 4096;
const MAX_FILES = 30;

const CONSUMER = `
import { dial, type Connection, CallError, collect } from 'gitaly-client';
import { GitalyClient } from 'gitaly-client/rails';
import { Repository } from 'gitaly-client/repository';
import { create, ObjectFormat, RepositorySchema, timestampDate } from 'gitaly-client/messages';

const [address = '', path = ''] = process.argv.slice(2);
await using connection: Connection = await dial(address, { clientName: 'consumer' });
const repository = create(RepositorySchema, { storageName: 'default', relativePath: path });
const { commit } = await connection.commit.findCommit({ repository, revision: Buffer.from('main') });
const { format } = await connection.repository.objectFormat({ repository });
const plain = await new Repository(connection, { path }).findCommit('main');
if (plain?.id !== commit?.id) throw new Error('two commits');
const at = commit?.committer?.date;
if (at === undefined) throw new Error('no time');
if (timestampDate(at).getTime() !== plain?.committer.date.getTime()) throw new Error('two times');
console.log(commit?.id, format === ObjectFormat.SHA1, typeof GitalyClient, typeof collect);
try {
  for await (const _ of connection.blob.getBlob({ repository, oid: '' }));
} catch (error) {
  if (!(error instanceof CallError)) throw error;
  console.log(error.code);
}
`;

const TSCONFIG = {
  compilerOptions: {
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable'],
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    types: ['node'],
    outDir: 'out',
  },
  files: ['consumer.ts'],
};

suite('the package gitaly-client', () => {
  const directory = makeScratchDirectory('client-package');
  const project = join(directory, 'project');
  const installed = join(project, 'node_modules/gitaly-client');
  after(() => rmSync(directory, { recursive: true, force: true }));

  before(async () => {
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n');
    const made = await succeeded(process.execPath, [join(ROOT, 'scripts/make-packages.ts'), directory]);
    const packed = made.split('\n').find((path) => /gitaly-client-[^/]*$/.test(path)) ?? '';
    const library = join(ROOT, 'node_modules/@bufbuild/protobuf');
    const pack = ['pack', '--silent', '--ignore-scripts', '--pack-destination', directory, library];
    const dependency = join(directory, (await npm(ROOT, ...pack)).trim());
    // Scripts would run, if there were any.
    await npm(project, 'install', '--offline', '--no-audit', '--no-fund', dependency, packed);
  });

  test('consists of the client and one dependency, without native code, and is small', () => {
    const packages = readdirSync(join(project, 'node_modules'), { recursive: true, encoding: 'utf8' });
    const manifests = packages.filter((path) => /^(?:@[^/]+\/)?[^/]+\/package\.json$/.test(path)).sort();
    assert.deepEqual(manifests, ['@bufbuild/protobuf/package.json', 'gitaly-client/package.json']);
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    assert.deepEqual(Object.keys(manifest.dependencies), ['@bufbuild/protobuf']);
    assert.equal(manifest.scripts, undefined);

    const filesOf = (folder: string) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
        statSync(join(folder, path)).isFile(),
      );
    const files = filesOf(installed);
    const others = files.filter((path) => !/^dist\/(?:entry|shared)\/[^/]*\.(?:js|d\.c?ts)$/.test(path));
    assert.deepEqual(others.sort(), ['LICENSE', 'NOTICE', 'README.md', 'package.json']);
    assert.ok(files.length <= MAX_FILES, `${files.length} files`);
    const modules = join(project, 'node_modules');
    const bytes = filesOf(modules).reduce((sum, path) => {
      const blocks = Math.ceil(statSync(join(modules, path)).size / BLOCK_BYTES);
      return sum + blocks * BLOCK_BYTES;
    }, 0);
    assert.ok(bytes <= MAX_BYTES, `${bytes} bytes`);
  });

  test('says on an old Node which one it needs', { skip: NO_OLD_NODE }, () => {
    const { exports } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    for (const path of Object.keys(exports)) {
      const name = `gitaly-client${path.slice(1)}`;
      for (const load of [`await import('${name}')`, `require('${name}')`]) {
        const { stderr } = spawnSync(oldNode ?? '', ['-e', `(async () => { ${load} })()`], {
          cwd: project,
          encoding: 'utf8',
        });
        assert.match(stderr, /^Error: gitaly-client needs Node 24 or newer, this is v[\d.]+$/m, load);
      }
    }
  });

  test('type-checks in a strict program, and calls a server', async () => {
    writeFileSync(join(project, 'consumer.ts'), CONSUMER);
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(TSCONFIG));
    mkdirSync(join(project, 'node_modules/@types'));
    for (const name of ['@types/node', 'undici-types'])
      symlinkSync(join(ROOT, 'node_modules', name), join(project, 'node_modules', name));
    await succeeded(join(ROOT, 'node_modules/.bin/tsc'), ['-p', project]);
    await using gitaly = await startGitaly();
    const path = initServed(gitaly, 'r.git', { commits: 1 });

    const printed = await succeeded(process.execPath, [
      join(project, 'out/consumer.js'),
      gitaly.address,
      'r.git',
    ]);

    const oid = gitOutput(path, ['rev-parse', 'main']);
    assert.equal(printed, `${oid} true function object\nINVALID_ARGUMENT\n`);
  });
});
