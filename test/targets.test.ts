import assert from 'node:assert/strict';
import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { programCommand } from '#testkit/programs/program-command';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { type RunResult, run } from '#testkit/run-program';
import { startGitaly } from '#testkit/start-gitaly';

const ROOT = join(import.meta.dirname, '..');
const ARGUMENTS = programCommand('gitaly-ts');

const gitalyTs = (...args: string[]): Promise<RunResult> =>
  run(process.execPath, [...ARGUMENTS, ...args], { cwd: ROOT, env: GIT_ENVIRONMENT });

/** A directory with the repository `one`, and the path of a data directory that does not exist. */
function place() {
  const root = mkdtempSync(join(tmpdir(), 'targets-'));
  const source = join(root, 'one');
  initRepository(source, { commits: 1 });
  const remove = (): void => rmSync(root, { recursive: true, force: true });
  return { root, source, data: join(root, 'data'), [Symbol.dispose]: remove };
}

const references = (path: string): string =>
  gitOutput(path, ['for-each-ref', '--format=%(objectname) %(refname)']);

// 51 files of root remained, and the user's server answered each request with 400.
test('root does not make files in the directory of another user', {
  skip: process.getuid?.() !== 0 && 'needs root',
}, async () => {
  using at = place();
  const { source } = at;
  mkdirSync(join(at.data, 'repositories'), { recursive: true });
  const owner = 65_534;
  for (const path of [at.data, join(at.data, 'repositories')]) chownSync(path, owner, owner);

  const { code, stderr } = await gitalyTs('import', source, '--to', at.data);

  assert.equal(code, 1);
  assert.match(stderr, /belongs to the user with the id 65534, .* sudo -u '#65534'/);
  assert.deepEqual(readdirSync(at.data, { recursive: true }), ['repositories']);
});

test('an import takes a configuration file, and a restore makes its directory', async () => {
  using at = place();
  await using gitaly = await startGitaly();
  const { source } = at;
  const config = join(at.root, 'config.toml');
  const socket = gitaly.address.replace(/^unix:/, '');
  const storage = `[[storage]]\nname = "default"\npath = "${gitaly.storagePath()}"\n`;
  writeFileSync(config, `socket_path = "${socket}"\n${storage}`);
  const backup = (...args: string[]): Promise<RunResult> => gitalyTs('backup', ...args);

  const imported = await gitalyTs('import', source, '--to', config);
  assert.equal(imported.code, 0, imported.stderr);
  const backups = join(at.root, 'backups');
  assert.equal((await backup('create', config, '--to', backups)).code, 0);
  const restored = await backup('restore', backups, '--to', at.data);
  assert.equal(restored.code, 0, restored.stderr);
  const expected = references(source);
  assert.equal(references(join(at.data, 'repositories/one.git')), expected);

  // An error about a "nonexistent object" was logged, which read like lost data.
  const copy = join(at.data, 'repositories/one.git');
  const other = gitOutput(copy, ['commit-tree', '-m', 'other', 'main^{tree}']);
  gitOutput(copy, ['update-ref', 'refs/heads/main', other]);
  gitOutput(copy, ['reflog', 'expire', '--expire=now', '--all']);
  gitOutput(copy, ['gc', '-q', '--prune=now']);
  const replaced = await backup('restore', backups, '--to', at.data, '--replace');
  assert.equal(replaced.code, 0, replaced.stderr);
  assert.doesNotMatch(replaced.stderr, /level=error/);
  assert.equal(references(copy), expected);
});

test('an import packs many references, and leaves no file for each of them', async () => {
  using at = place();
  const { source } = at;
  const oid = gitOutput(source, ['rev-parse', 'main']).trim();
  const lines = Array.from({ length: 150 }, (_, index) => `${oid} refs/heads/b${index}\n`);
  writeFileSync(join(source, 'packed-refs'), lines.sort().join(''));

  const { code, stderr } = await gitalyTs('import', source, '--to', at.data);

  assert.equal(code, 0, stderr);
  const copy = join(at.data, 'repositories/one.git');
  assert.equal(references(copy), references(source));
  assert.deepEqual(
    readdirSync(join(copy, 'refs'), { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    ),
    [],
  );
});
