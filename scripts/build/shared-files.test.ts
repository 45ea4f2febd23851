import assert from 'node:assert/strict';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bundleCode } from './bundle-programs.ts';

/** Each module assigns its name, so that the bundler keeps it. */
const MODULES: Readonly<Record<string, string>> = {
  'cli/gitaly-hooks': "import '../a/hook.js'; import '../a/own-hook.js';",
  'cli/gitaly-ssh': "import '../a/hook.js'; import '../a/small.js';",
  'cli/gitaly': "import '../a/line.js'; import '../a/own-line.js'; await import('../gitaly/run-gitaly.js');",
  'cli/praefect': "import '../a/line.js'; await import('../a/command.js');",
  'gitaly/run-gitaly': "import './gitaly-server.js'; import '../a/line.js'; import '../a/command.js';",
  'gitaly/gitaly-server': "import '../a/part-1.js'; import '../a/part-2.js';",
  'a/entry': "import './part-2.js';",
  'a/hook': '',
  'a/own-hook': '',
  'a/own-line': '',
  'a/small': '',
  'a/line': "import './small.js';",
  'a/command': "import './line.js';",
  'a/part-1': '',
  'a/part-2': '',
};

async function bundle(context: TestContext): Promise<(name: string) => readonly string[]> {
  const dist = join(mkdtempSync(join(tmpdir(), 'gitaly-shared-')), 'dist');
  context.after(() => rmSync(dirname(dist), { recursive: true }));
  for (const [name, imports] of Object.entries(MODULES)) {
    const path = join(dist, `${name}.js`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${imports}\n(globalThis.names ??= []).push('${name}');`);
  }
  writeFileSync(join(dirname(dist), 'package.json'), '{ "type": "module" }');
  const programs = ['gitaly', 'gitaly-hooks', 'gitaly-ssh', 'praefect'];
  await bundleCode(dist, { programs, entries: { entry: 'a/entry' } }, { sourceMaps: false });

  const files = globSync('shared/*.js', { cwd: dist }).map((file) => readFileSync(join(dist, file), 'utf8'));
  const namesIn = (code = ''): string[] =>
    [...code.matchAll(/push\("([^"]+)"\)/g)].map(([, name = '']) => name);
  return (name) => namesIn(files.find((code) => code.includes(`push("${name}")`))).sort();
}

test('modules share the file of the smallest part that needs them', async (context) => {
  const neighbours = await bundle(context);

  assert.deepEqual(neighbours('a/hook'), ['a/hook', 'a/own-hook'], 'a hook is one file');
  assert.deepEqual(neighbours('a/small'), ['a/small'], 'gitaly-ssh reads nothing of the commands');
  assert.deepEqual(neighbours('a/line'), ['a/line', 'a/own-line'], 'command lines share one file');
  assert.deepEqual(neighbours('a/command'), ['a/command'], 'a command reads nothing of a server');
  const server = ['a/part-1', 'a/part-2', 'gitaly/gitaly-server', 'gitaly/run-gitaly'];
  assert.deepEqual(neighbours('a/part-1'), server, 'a server is one file');
});
