import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { importDiagram, importList, withGenerated } from './module-maps.ts';

test('the diagram has each import, the highest modules first, in lines of a page', () => {
  const diagram = importDiagram({
    base: { modules: [] },
    git: { modules: ['base'] },
    domain: { modules: ['base', 'git'], types: ['wire/messages'] },
    wire: { modules: [] },
    'domain/convert': { modules: ['domain/merge', 'domain/hooks/payload'] },
    cli: { modules: ['base', ...Array.from({ length: 12 }, (_, part) => `git/some-folder/part-${part}`)] },
  });

  assert.deepEqual(diagram, [
    'domain/convert ─► domain/{merge, hooks/payload}',
    'cli            ─► git/{some-folder/part-0, some-folder/part-1, some-folder/part-2,',
    '                  some-folder/part-3, some-folder/part-4, some-folder/part-5, some-folder/part-6,',
    '                  some-folder/part-7, some-folder/part-8, some-folder/part-9, some-folder/part-10,',
    '                  some-folder/part-11}, base',
    'domain         ─► git, base, (wire/messages)',
    'git            ─► base',
    'base',
    'wire',
  ]);
});

test('rules with a cycle have no diagram', () => {
  const rules = { base: { modules: ['git/x'] }, git: { modules: ['base'] } };

  assert.throws(() => importDiagram(rules), /the rules have a cycle: base → git → base/);
});

test('the list of a folder with two modules has the imports of both, and who imports them', () => {
  assert.deepEqual(importList('rpc').slice(0, 4), [
    '- `rpc/common` may import: `base`, `wire`',
    '- packages: `@bufbuild/protobuf`',
    '- `rpc/server` may import: `base`, `wire`, `platform`, `rpc/common`',
    '- packages: `@bufbuild/protobuf`',
  ]);
  assert.match(importList('rpc').join('\n'), /- imported by: .*`gitaly`/s);
});

test('a page without a place for the generated part has none', () => {
  assert.equal(withGenerated('# Base\n', ['- may import: nothing']), undefined);
});

const PLACE = [
  '<!-- Generated from scripts/layer-rules.ts by `npm run gen`. -->',
  '<!-- End of the generated part. -->',
  '',
].join('\n');

const PAGES = {
  'ARCHITECTURE.md': `# Architecture\n\n[base](src/base/README.md)\n\n${PLACE}`,
  'src/base/README.md': `# Base\n\nmake test MODULE=base/go\n\n- \`go/\`: text\n\n${PLACE}`,
  'src/base/go/a.test.ts': '',
};

/** Returns what the generator prints about a tree, after it was run once to write the pages. */
function runOn(context: TestContext, changes: Readonly<Record<string, string | undefined>>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'gitaly-maps-'));
  context.after(() => rmSync(root, { recursive: true }));
  const write = (files: Readonly<Record<string, string | undefined>>): void => {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      if (text === undefined) rmSync(join(root, name));
      else writeFileSync(join(root, name), text);
    }
  };
  const run = (...args: string[]): string =>
    spawnSync(process.execPath, [join(import.meta.dirname, 'generate-module-maps.ts'), ...args, root], {
      encoding: 'utf8',
    }).stderr;
  write(PAGES);
  assert.equal(run(), '');
  assert.match(readFileSync(join(root, 'src/base/README.md'), 'utf8'), /\n\n- may import: nothing\n/);
  write(changes);
  return run('--check').split('\n').slice(0, -1);
}

for (const [name, changes, expected] of [
  ['nothing, when all is in place', {}, []],
  [
    'a README that is missing',
    { 'src/base/README.md': undefined },
    ['src/base/README.md does not exist: each module has a README'],
  ],
  [
    'a stale part',
    { 'src/base/README.md': PAGES['src/base/README.md'], 'ARCHITECTURE.md': PAGES['ARCHITECTURE.md'] },
    [
      'src/base/README.md does not agree with scripts/layer-rules.ts: run "npm run gen"',
      'ARCHITECTURE.md does not agree with scripts/layer-rules.ts: run "npm run gen"',
    ],
  ],
  [
    'a README without a place for it',
    { 'src/base/README.md': '`go/`: make test MODULE=base\n' },
    ['src/base/README.md has no place for the generated part'],
  ],
  [
    'a folder that the README lacks',
    { 'src/base/tar/a.ts': '' },
    ['src/base/README.md lacks the folder `tar/`'],
  ],
  [
    'a README without its folders and tests, or too long',
    { 'src/base/README.md': `${'\n'.repeat(60)}${PLACE}` },
    [
      'src/base/README.md does not agree with scripts/layer-rules.ts: run "npm run gen"',
      'src/base/README.md lacks the folder `go/`',
      'src/base/README.md lacks the command `make test MODULE=base`',
      'src/base/README.md has 62 lines; the limit is 50',
    ],
  ],
  [
    'tests of a folder that does not exist',
    { 'src/base/go/a.test.ts': undefined, 'src/base/README.md': 'make test MODULE=base/gone `go/`\n' },
    [
      'src/base/README.md has no place for the generated part',
      'src/base/README.md names src/base/gone, which does not exist',
    ],
  ],
  [
    'a module that ARCHITECTURE.md does not link to',
    { 'src/hook/README.md': PLACE },
    [
      'src/hook/README.md does not agree with scripts/layer-rules.ts: run "npm run gen"',
      'ARCHITECTURE.md lacks a link to src/hook/README.md',
    ],
  ],
] as const) {
  test(`the check of the maps finds ${name}`, (context) => {
    assert.deepEqual(runOn(context, changes), expected);
  });
}
