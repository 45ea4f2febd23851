import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

/** Runs the check on a tree with these files below `src`. */
function checkLayers(files: Readonly<Record<string, string>>): { status: number | null; output: string } {
  const root = mkdtempSync(join(tmpdir(), 'gitaly-layers-'));
  mkdirSync(join(root, 'src'));
  for (const [name, text] of Object.entries(files)) {
    const path = join(root, 'src', name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  const run = spawnSync(process.execPath, [join(import.meta.dirname, 'check-layers.ts'), root], { encoding: 'utf8' });
  rmSync(root, { recursive: true });
  return { status: run.status, output: run.stdout + run.stderr };
}

const GOOD = {
  'base/a.ts': "import { readFile } from 'node:fs/promises';\n",
  'git/objects/b.ts': "import { a } from '#base/a';\nimport { c } from '../c.ts';\n",
  'services/x/d.ts': "import type { HandlerContext } from '#rpc/server/handler';\nimport { create } from '@bufbuild/protobuf';\n",
};

test('imports that go down pass', () => {
  const { status, output } = checkLayers(GOOD);

  assert.equal(status, 0, output);
  assert.match(output, /3 files, 5 imports/);
});

for (const [name, file, text, complaint] of [
  [
    'an import that goes up',
    'git/x.ts',
    "import { a } from '#domain/a';",
    'src/git/x.ts → #domain/a: git may not import from here',
  ],
  ['one over several lines', 'git/x.ts', "import {\n  a,\n} from '#domain/a';", '→ #domain/a: git may not'],
  ['an export that goes up', 'base/x.ts', "export { a } from '#git/a';", '→ #git/a: base may not'],
  ['a late import that goes up', 'storage/x.ts', "const { a } = await import('#services/a');", '→ #services/a: storage may not'],
  ['a value where only types are allowed', 'domain/x.ts', "import { a } from '#platform/log/logger';", 'may import only types'],
  [
    'a type of the server that is not the context',
    'services/x.ts',
    "import type { A } from '#rpc/server/grpc-server';",
    '→ #rpc/server/grpc-server: services may not',
  ],
  ['a package of another room', 'git/x.ts', "import { create } from '@bufbuild/protobuf';", 'git may not use this package'],
  [
    'a package outside of its part of the room',
    'gateway/x.ts',
    "await import('ssh2');",
    'only gateway/ssh/ may use this package',
  ],
  ['a relative path into another room', 'git/x.ts', "import { a } from '../base/a.ts';", 'leaves its room'],
  ['a way round through the own room’s name', 'git/x.ts', "import { a } from '#git/a';", 'write a relative path'],
  ['the test kit', 'gitaly/x.ts', "import { a } from '#testkit/a';", 'gitaly may not import from here'],
  ['a folder that is no room', 'utils/x.ts', '', 'this folder is no room'],
] as const) {
  test(`${name} is found`, () => {
    const { status, output } = checkLayers({ ...GOOD, [file]: `${text}\n` });

    assert.equal(status, 1, output);
    assert.ok(output.includes(complaint), output);
  });
}

test('tests and the test kit may import anything', () => {
  const text = "import { a } from '#services/a';\nimport grpc from '@grpc/grpc-js';\n";

  const { status, output } = checkLayers({ ...GOOD, 'base/a.test.ts': text, 'testkit/b.ts': text });

  assert.equal(status, 0, output);
});

test('seeing no file at all is a failure', () => {
  const { status, output } = checkLayers({});

  assert.equal(status, 1, output);
  assert.match(output, /saw 0 of 0 files/);
});
