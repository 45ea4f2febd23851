import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { MINIMUM_NODE } from '#platform/process/minimum-node';
import { NO_OLD_NODE, oldNode } from '#testkit/programs/old-node';
import { makeScratchDirectory } from '#testkit/scratch-directory';

const ROOT = join(import.meta.dirname, '../../..');
const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const PROGRAMS = Object.keys(MANIFEST.bin);

test('package.json requires the same Node', () => {
  assert.equal(MANIFEST.engines.node, `>=${MINIMUM_NODE}`);
});

for (const name of PROGRAMS) {
  test(`${name} ends with advice on a Node that is too old`, () => {
    const versions = `{ value: { ...process.versions, node: '${MINIMUM_NODE - 1}.9.1' } }`;
    const pretend = `Object.defineProperty(process, 'versions', ${versions})`;
    const preload = `data:text/javascript,${encodeURIComponent(pretend)}`;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--conditions=source', '--import', preload, `src/cli/bin/${name}.ts`],
      { cwd: ROOT, encoding: 'utf8' },
    );

    assert.equal(status, 1);
    assert.equal(stdout, '');
    assert.match(
      stderr,
      new RegExp(`^${name}\\S*: needs Node ${MINIMUM_NODE} or newer, .*Install a newer one.*\\n$`),
    );
  });
}

test('an old Node never reads the code of a program', { skip: NO_OLD_NODE }, () => {
  const root = makeScratchDirectory('old-node');
  try {
    compile(root, [
      'src/cli/bin/gitaly.ts',
      'src/cli/bin/require-node.ts',
      'src/platform/process/minimum-node.ts',
    ]);
    writeFileSync(join(root, 'dist/cli/gitaly.js'), 'await using x = syntax that no Node reads;');
    writeFileSync(
      join(root, 'package.json'),
      JSON.stringify({ type: 'module', imports: { '#*': './dist/*.js' } }),
    );

    const { status, stderr } = spawnSync(oldNode ?? '', [join(root, 'dist/cli/bin/gitaly.js'), 'serve'], {
      encoding: 'utf8',
    });

    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^gitaly: needs Node ${MINIMUM_NODE} or newer, but .* is v\\d+.*\\n$`));
  } finally {
    rmSync(root, { recursive: true });
  }
});

/** Writes sources as JavaScript below `dist/`, as the build does. */
function compile(root: string, files: readonly string[]): void {
  for (const file of files) {
    const target = join(root, file.replace(/^src/, 'dist').replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    const code = stripTypeScriptTypes(readFileSync(join(ROOT, file), 'utf8'));
    writeFileSync(target, code.replace(/(['"]\..*)\.ts(['"])/g, '$1.js$2'));
  }
}
