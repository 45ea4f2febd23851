import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLayers } from './check-layers.ts';
import { HANDLES, INNER_LAYERS, ONLY_IN, RULES, STARTS_PROCESSES } from './layer-rules.ts';
import { outcomeOf, temporaryTree } from './temporary-tree.ts';

/**
 * Runs the check on a tree with these files below `src`, with everything that the rules name except
 * `missing`, with all imports that they allow except those of `unneeded`, and with their targets.
 */
function check(
  files: Readonly<Record<string, string>>,
  { missing = '', unneeded = '' }: { missing?: string; unneeded?: string } = {},
) {
  const all = { ...namedByRules(missing), ...allowedByRules(missing, unneeded), ...files };
  const imported = Object.values(all).flatMap((text) =>
    Array.from(text.matchAll(/'#(.+)'/g), ([, path]) => `${path}.ts`),
  );
  const targets = imported
    .filter((path) => missing === '' || !path.startsWith(missing))
    .map((path) => [path, '']);
  return checkTree(Object.entries({ ...Object.fromEntries(targets), ...all }));
}

function checkTree(files: readonly (readonly [string, string])[]) {
  using tree = temporaryTree(Object.fromEntries(files.map(([name, text]) => [`src/${name}`, text])));
  const { lines, status } = outcomeOf(checkLayers(tree));
  return { status, output: lines.join('\n') };
}

function isFile(name: string): boolean {
  return name.includes('/') && RULES[name] === undefined;
}

/** Returns a file for each module, with an import for each part of its rule. */
function allowedByRules(missing: string, unneeded: string): Record<string, string> {
  const target = (name: string): string => (isFile(name) ? `#${name}` : `#${name}/any`);
  const files = Object.entries(RULES).map(([module, { modules, types = [] }]) => {
    const values = modules.filter((name) => name !== unneeded);
    const lines = [
      ...values.map((name) => `import { a } from '${target(name)}';\n`),
      ...types.map((name) => `import type { A } from '${target(name)}';\n`),
    ];
    return [`${module}/allowed.ts`, lines.join('')] as const;
  });
  return Object.fromEntries(files.filter(([name]) => missing === '' || !name.startsWith(missing)));
}

/** Returns files for every module and file in the rules. */
function namedByRules(missing: string): Record<string, string> {
  const named = Object.entries(RULES).flatMap(([module, { modules, types = [] }]) => [
    module,
    ...modules,
    ...types,
  ]);
  const layers = Object.entries(INNER_LAYERS).flatMap(([module, folders]) =>
    folders.map((folder) => `${module}/${folder}/`),
  );
  const places = [...Object.values(ONLY_IN).flat(), ...Object.keys(STARTS_PROCESSES), ...HANDLES, ...layers];
  const empty = [
    ...named.map((name) => (isFile(name) ? `${name}.ts` : `${name}/.keep`)),
    ...places.map((place) => (place.endsWith('/') ? `${place}.keep` : place)),
  ].filter((name) => missing === '' || !name.startsWith(missing));
  return Object.fromEntries(empty.map((name) => [name, '']));
}

const GOOD = {
  'base/a.ts': "import { readFile } from 'node:fs/promises';\n",
  'git/objects/b.ts': "import { a } from '#base/a';\nimport type { R } from '../repository.ts';\n",
  'git/objects/parse/d.ts': "import { c } from '#git/names/c';\n",
  'services/x/d.ts': "import type { HandlerContext } from '#rpc/server/handler';\n",
  'services/x/e.ts': "import { create } from '@bufbuild/protobuf';\n",
};

test('downward imports pass', () => {
  const { status, output } = check(GOOD);

  assert.equal(status, 0, output);
  assert.match(output, /files, \d+ imports, all downwards/);
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
  [
    'a late import that goes up',
    'storage/x.ts',
    "const { a } = await import('#services/a');",
    '→ #services/a: storage may not',
  ],
  [
    'a value where only types are allowed',
    'calls/x.ts',
    "import { a } from '#git/command/git';",
    'may import only types',
  ],
  [
    'a type of the server that is not the context',
    'services/x.ts',
    "import type { A } from '#rpc/server/grpc-server';",
    '→ #rpc/server/grpc-server: services may not',
  ],
  [
    'a package of another module',
    'git/x.ts',
    "import { create } from '@bufbuild/protobuf';",
    'git may not use this package',
  ],
  [
    'a package outside of its part of the module',
    'gateway/x.ts',
    "await import('ssh2');",
    'only gateway/ssh/ may use this package',
  ],
  [
    'a relative path into another module',
    'git/x.ts',
    "import { a } from '../base/a.ts';",
    'leaves its module',
  ],
  [
    'a way round through the own module’s name',
    'git/x.ts',
    "import { a } from '#git/a';",
    'write a relative path',
  ],
  [
    'a relative path that climbs two folders',
    'git/x/y/z.ts',
    "import { a } from '../../a.ts';",
    'climbs two folders',
  ],
  [
    'a package outside of its one file',
    'base/x.ts',
    "import koffi from 'koffi';",
    'only base/c-library.ts may use this package',
  ],
  [
    'a process that is started past git/command',
    'domain/x.ts',
    "import { spawn } from 'node:child_process';",
    'src/domain/x.ts → node:child_process: start processes through git/command',
  ],
  [
    'a process that is started beside a listed file',
    'platform/config/x.ts',
    "import type { ChildProcess } from 'node:child_process';",
    'src/platform/config/x.ts → node:child_process: start',
  ],
  [
    'an import of node:http, which loads undici',
    'domain/x.ts',
    "import { request, type IncomingMessage } from 'node:http';",
    'src/domain/x.ts → node:http: loads undici, too; import from #base/node-http',
  ],
  ['a file that imports itself', 'base/x.ts', "import './x.ts';", 'src/base/x.ts: imports itself through'],
  ['the test kit', 'gitaly/x.ts', "import { a } from '#testkit/a';", 'gitaly may not import from here'],
  [
    'an import from a higher folder',
    'praefect/model/x.ts',
    "import type { A } from '../store/a.ts';",
    'src/praefect/model/x.ts → ../store/a.ts: this folder is higher in praefect',
  ],
  [
    'an import from a higher folder by its alias',
    'praefect/model/x/y.ts',
    "import type { A } from '#praefect/store/a';",
    'this folder is higher in praefect',
  ],
  [
    'a value of a handle that is made of all layers',
    'git/objects/x.ts',
    "import { a } from '../repository.ts';",
    'src/git/objects/x.ts → ../repository.ts: this folder is higher in git',
  ],
  [
    'a folder of a layered module without a layer',
    'praefect/utils/x.ts',
    "import type { A } from '../model/a.ts';",
    'this folder has no layer in praefect',
  ],
  ['a folder that is no module', 'utils/x.ts', '', 'this folder is no module'],
] as const) {
  test(`${name} is found`, () => {
    const { status, output } = check({ ...GOOD, [file]: `${text}\n` });

    assert.equal(status, 1, output);
    assert.ok(output.includes(complaint), output);
  });
}

test('an import of a file that does not exist is found', () => {
  const { status, output } = checkTree([['base/x.ts', "import { a } from '#base/a/gone';\n"]]);

  assert.equal(status, 1, output);
  assert.ok(output.includes('src/base/x.ts → #base/a/gone: there is no such file'), output);
});

test('an import cycle is found, also over modules’ names and types', () => {
  const { status, output } = check({
    'base/a.ts': "import type { B } from './b.ts';\n",
    'base/b.ts': "export { c } from './c/c.ts';\n",
    'base/c/c.ts': "const a = await import('../a.ts');\n",
    'base/d.ts': "import './a.ts';\n",
  });

  assert.equal(status, 1, output);
  assert.equal(output, 'src/base/a.ts: imports itself through base/b.ts, base/c/c.ts');
});

for (const [name, missing, complaint] of [
  [
    'a rule for a module that does not exist',
    'hook/',
    'the rule of hook names src/hook, which does not exist',
  ],
  [
    'a rule that names a file that does not exist',
    'domain/hooks/payload.ts',
    'the rule of tools names src/domain/hooks/payload, which does not exist',
  ],
  [
    'a place for a package that does not exist',
    'gateway/ssh/',
    'scripts/layer-rules.ts names src/gateway/ssh/, which does not exist',
  ],
  [
    'a place for processes that does not exist',
    'platform/config/read-config.ts',
    'scripts/layer-rules.ts names src/platform/config/read-config.ts, which does not exist',
  ],
] as const) {
  test(`${name} is found`, () => {
    const { status, output } = check(GOOD, { missing });

    assert.equal(status, 1, output);
    assert.ok(output.includes(complaint), output);
  });
}

test('a rule that no import needs is found', () => {
  const { status, output } = check(GOOD, { unneeded: 'webhooks' });

  assert.equal(status, 1, output);
  assert.equal(
    output,
    ['gitaly', 'praefect']
      .map((module) => `the rule of ${module} allows webhooks, of which it imports no value`)
      .join('\n'),
  );
});

test('tests and the test kit may import anything', () => {
  const text =
    "import { a } from '#services/a';\nimport grpc from '@grpc/grpc-js';\nimport 'node:child_process';\n";

  const { status, output } = check({ ...GOOD, 'base/a.test.ts': text, 'testkit/b.ts': text });

  assert.equal(status, 0, output);
});

test('seeing no file at all is a failure', () => {
  const { status, output } = checkTree([]);

  assert.equal(status, 1, output);
  assert.match(output, /saw 0 of 0 files/);
});
