import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { bundleCode } from './bundle-programs.ts';

const CODE = {
  'package.json': '{ "type": "module", "imports": { "#*": "./dist/*.js" } }',
  'dist/cli/one.js': `import { Problem, place } from '#base/deep/shared';
    const { late } = await import('#base/late');
    console.log(JSON.stringify([Problem.name, new Problem().name, place(), late]));`,
  'dist/cli/two.js': "import { place } from '#base/deep/shared';\nconsole.log(place().data);",
  'dist/base/deep/shared.js': `import { readFileSync } from 'node:fs';
    export class Problem extends Error { get name() { return this.constructor.name; } }
    export const place = () => ({
      data: readFileSync(new URL('./data.txt', import.meta.url), 'utf8'),
      dirname: import.meta.dirname,
      filename: import.meta.filename,
    });`,
  'dist/base/late.js': 'class Problem {}\nexport const late = Problem.name;',
  'dist/base/deep/data.txt': 'the data',
};

function arrange(code: Readonly<Record<string, string>> = CODE) {
  const root = mkdtempSync(join(tmpdir(), 'gitaly-bundle-'));
  for (const [name, text] of Object.entries(code)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return {
    dist: join(root, 'dist'),
    run: (name: string) => spawnSync(process.execPath, [join(root, 'dist/cli', name)], { encoding: 'utf8' }),
    [Symbol.dispose]: () => rmSync(root, { recursive: true }),
  };
}

test('a bundled program finds files beside its modules, and classes keep their names', async () => {
  using built = arrange();
  const before = built.run('one.js').stdout;

  await bundleCode(built.dist, { programs: ['one', 'two'] }, { sourceMaps: false });
  for (const name of ['deep/shared.js', 'late.js']) rmSync(join(built.dist, 'base', name));

  assert.equal(built.run('one.js').stdout, before);
  assert.deepEqual(JSON.parse(before), [
    'Problem',
    'Problem',
    {
      data: 'the data',
      dirname: join(built.dist, 'base/deep'),
      filename: join(built.dist, 'base/deep/shared.js'),
    },
    'Problem',
  ]);
  assert.equal(built.run('two.js').stdout, 'the data\n');
  assert.ok(existsSync(join(built.dist, 'shared')), 'what both programs use is shared');
});

test('entry points share their classes, and find files beside their modules', async () => {
  using built = arrange({
    ...CODE,
    'dist/base/a.js': "export { Problem, place } from '#base/deep/shared';",
    'dist/base/deep/b.js': "export { Problem } from './shared.js';",
    'dist/cli/user.js': `import * as a from '../entry/a.js';
      import * as b from '../entry/deep-b.js';
      console.log(a.Problem === b.Problem, a.place().data);`,
  });

  await bundleCode(built.dist, { entries: { a: 'base/a', 'deep-b': 'base/deep/b' } }, { sourceMaps: false });
  rmSync(join(built.dist, 'base/deep/shared.js'));

  assert.equal(built.run('user.js').stdout, 'true the data\n');
});

test('packages stay outside', async () => {
  using built = arrange({ ...CODE, 'dist/cli/three.js': "import 'a-package/sub';\nimport '@a/b';" });

  await bundleCode(built.dist, { programs: ['three'] }, { sourceMaps: false });

  assert.match(readFileSync(join(built.dist, 'cli/three.js'), 'utf8'), /"a-package\/sub"[\s\S]*"@a\/b"/);
});

test('kysely is bundled, without what no program uses and without comments', async () => {
  using built = arrange({
    ...CODE,
    'dist/cli/five.js': "import { sql } from 'kysely';\nconsole.log(sql`SELECT 1`.constructor.name);",
  });

  await bundleCode(built.dist, { programs: ['five'] }, { sourceMaps: false });

  assert.equal(built.run('five.js').stdout, 'RawBuilderImpl\n');
  const files = globSync('{cli/five,shared/*}.js', { cwd: built.dist });
  const code = files.map((file) => readFileSync(join(built.dist, file), 'utf8')).join('\n');
  assert.match(code, /class RawBuilderImpl/);
  assert.doesNotMatch(code, /from "kysely"|class MysqlDriver|\/\*\*|^\/\/ |node_modules/m);
});

test('packages of every start are bundled, unless their users install them, too', async () => {
  const code = `import { create } from '@bufbuild/protobuf';
    import { DurationSchema } from '@bufbuild/protobuf/wkt';
    console.log(create(DurationSchema, { nanos: 5 }).nanos);`;
  const outside = /from "@bufbuild\/protobuf/;
  for (const keepsPackages of [false, true]) {
    using built = arrange({ ...CODE, 'dist/cli/six.js': code });

    await bundleCode(built.dist, { programs: ['six'] }, { sourceMaps: false, keepsPackages });

    assert.equal(outside.test(readFileSync(join(built.dist, 'cli/six.js'), 'utf8')), keepsPackages);
    if (!keepsPackages) assert.equal(built.run('six.js').stdout, '5\n');
  }
});

test('a warning of the bundler is an error', async () => {
  using built = arrange({
    ...CODE,
    'dist/cli/four.js': "import { gone } from '#base/late';\nconsole.log(gone);",
  });

  await assert.rejects(bundleCode(built.dist, { programs: ['four'] }, { sourceMaps: false }), /gone/);
});
