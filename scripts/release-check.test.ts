import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

const ROOT = join(import.meta.dirname, '..');
const FILES = ['CHANGELOG.md', 'package.json', 'package-lock.json', 'deploy', 'docs', 'test/records.json'];
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

/** Copies what a release consists of, and returns what runs the check on it. */
function copyOf(context: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'gitaly-release-'));
  context.after(() => rmSync(root, { recursive: true }));
  for (const path of FILES) cpSync(join(ROOT, path), join(root, path), { recursive: true });
  const git = (...args: string[]): string => {
    const identity = ['-c', 'user.name=A', '-c', 'user.email=a@b'];
    const { status, stdout } = spawnSync('git', ['-C', root, ...identity, ...args], { encoding: 'utf8' });
    assert.equal(status, 0, args.join(' '));
    return stdout.trim();
  };
  const write = (path: string, text: string): void => writeFileSync(join(root, path), text);
  const commit = (): void => {
    git('add', '--all');
    git('commit', '--quiet', '--message', 'a release');
  };
  git('init', '--quiet');
  commit();
  /** Returns the points that are left. */
  const check = (): { status: number | null; todo: string[] } => {
    const args = [join(import.meta.dirname, 'release-check.ts'), root];
    const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    return { status, todo: stdout.split('\n').filter((line) => line.startsWith('TODO')) };
  };
  return { root, git, write, commit, check };
}

test('a release with records and its section in the changelog has nothing left', (context) => {
  const { git, write, commit, check } = copyOf(context);
  const changes = `# Changelog\n\n## Unreleased\n\n## ${version} - 2026-11-28\n\n- One.\n`;
  write('CHANGELOG.md', changes);
  commit();
  const passed = {
    date: '2026-11-28',
    commit: git('rev-parse', 'HEAD'),
    hasPassed: true,
    git: '2.39.5',
    node: 'v26.0.0',
    figures: ['1 minute'],
  };
  const names = ['test', 'git', 'release', 'soak', 'mutation'];
  const records = Object.fromEntries(names.map((name) => [name, passed]));
  write('test/records.json', JSON.stringify(records));
  commit();
  assert.deepEqual(check(), { status: 0, todo: [] });

  write('test/records.json', JSON.stringify({ ...records, soak: { ...passed, hasPassed: false } }));
  write('CHANGELOG.md', changes.replace('## Unreleased\n', '## Unreleased\n\n- Two.\n'));
  commit();
  git('tag', `v${version}`);
  write('docs/ten-minutes.md', 'npm install gitaly-ts\n');

  const { status, todo } = check();
  assert.equal(status, 1);
  const wanted = [/differs/, /not tagged/, /ten-minutes\.md/, /nothing unreleased/, /make soak.*it failed/];
  assert.equal(todo.length, wanted.length, todo.join('\n'));
  for (const [index, pattern] of wanted.entries()) assert.match(todo[index] ?? '', pattern);
});
