import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { joinDeclarations } from './join-declarations.ts';
import { runCompiler } from './run-compiler.ts';

const COMPILER = join(import.meta.dirname, '../../node_modules/.bin/tsc');

const MODULES = {
  'one/index': `/** The first entry point. */
export { type Options, Pool as Group } from './pool.ts';
export type { Readable } from 'node:stream';
`,
  'one/pool': `import type { Tag as TagMessage } from '#wire/tag';
import { MARK } from '#base/mark';
/** Settings. */
export interface Options { readonly response?: Response; }
interface Hidden { readonly tag: TagMessage; }
export declare class Pool<Tag> { static readonly [MARK]: true; first(): Tag | Hidden; }
export {};
`,
  'two/index': `import type { Options } from '#one/pool';
interface Response { readonly text: string; }
/** Sends. */
export declare function send(options: Options): Response | import("#wire/tag").Tag;
interface Tag { readonly mine: import('#wire/tag').Tag; }
export declare const tag: Tag;
export {};
`,
  'wire/index': `export * from '#wire/tag';\n`,
  'wire/tag': '/** A tag. */\nexport declare type Tag = { name: string };\n',
  'base/mark':
    'export declare const MARK: unique symbol;\nexport declare function unused(): Promise<void>;\n',
};
const ENTRIES = { one: 'one/index', two: 'two/index', messages: 'wire/index' };

/** Uses everything with its type. */
const USER = `
import { type Group, type Options } from './entry/one.js';
import { send, tag } from './entry/two.js';
import type { Tag } from './entry/messages.js';
// @ts-expect-error: only the entry point's own names are exported
import type { Hidden } from './entry/one.js';
declare const options: Options;
const status: number | undefined = options.response?.status;
const sent = send(options);
const text: string = 'text' in sent ? sent.text : sent.name;
const message: Tag = tag.mine;
declare const group: Group<string>;
const first = group.first();
if (typeof first !== 'string') first.tag satisfies Tag;
// @ts-expect-error: a tag has a name
tag.name;
export const all: readonly unknown[] = [status, text, message, first];
`;

suite('joined declarations', () => {
  const dist = makeScratchDirectory('join-declarations');
  after(() => rmSync(dist, { recursive: true, force: true }));
  const read = (name: string) => readFileSync(join(dist, 'entry', `${name}.d.ts`), 'utf8');
  before(() => {
    for (const [module, text] of Object.entries(MODULES)) {
      mkdirSync(dirname(join(dist, module)), { recursive: true });
      writeFileSync(join(dist, `${module}.d.ts`), text);
    }
    joinDeclarations(dist, ENTRIES);
    for (const module of Object.keys(MODULES)) rmSync(join(dist, `${module}.d.ts`));
  });

  test('have the types of the modules', () => {
    writeFileSync(join(dist, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(dist, 'user.ts'), USER);
    const options =
      '--ignoreConfig --noEmit --strict --target es2024 --lib es2024,dom --types node --module nodenext';
    const roots = ['--typeRoots', join(import.meta.dirname, '../../node_modules/@types')];

    assert.equal(runCompiler(COMPILER, [...options.split(' '), ...roots, join(dist, 'user.ts')]), undefined);
  });

  test('keep comments, and export only what the entry points export', () => {
    assert.equal(
      read('messages'),
      'export {};\n/** A tag. */\nexport declare type Tag = { name: string };\n',
    );
    assert.match(read('one'), /^\/\*\* The first entry point\. \*\/\n/);
    assert.match(read('one'), /^export \{ type Options, Pool as Group \} from '\.\/common\.js';$/m);
    assert.match(read('common'), /^\/\*\* Settings\. \*\/\nexport interface Options /m);
    assert.match(read('common'), /^interface Hidden /m);
  });

  test('number a name that another module of the file uses for something else', () => {
    assert.match(read('two'), /import type \{ Tag as Tag\$1 \} from '\.\/messages\.js';/);
  });
});

test('a statement that compiled declarations do not have is refused', () => {
  const dist = makeScratchDirectory('join-declarations');
  try {
    writeFileSync(join(dist, 'index.d.ts'), "import * as all from 'node:fs';\n");

    assert.throws(() => joinDeclarations(dist, { index: 'index' }), /unsupported import: all/);
  } finally {
    rmSync(dist, { recursive: true, force: true });
  }
});
