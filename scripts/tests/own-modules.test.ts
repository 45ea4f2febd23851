import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
const SPECIFIERS = [
  ...['#base/lazy-module', '#wire/gen/commit_pb', '#wire/registry', './scripts/tests/worker.ts'],
  ...['node:fs', '@bufbuild/protobuf', '@bufbuild/protobuf/wkt', './package.json'],
];

test('imports lead to the same files as those that Node finds', () => {
  const all = JSON.stringify(SPECIFIERS);
  const code = `console.log(JSON.stringify(${all}.map((each) => import.meta.resolve(each))))`;
  const resolve = (options: readonly string[]): unknown => {
    const args = ['--conditions=source', ...options, '--input-type=module', '--eval', code];
    return JSON.parse(execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' }));
  };

  assert.deepEqual(resolve(['--import', './scripts/tests/own-modules.ts']), resolve([]));
});
