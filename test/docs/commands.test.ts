import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'smol-toml';
import { gitalyTsProgram } from '#cli/programs/gitaly-ts-program';
import { programs } from '#cli/programs/programs';
import { readConfigObject } from '#platform/config/read-config';
import { type CommandTree, commandPaths, completedWords } from '#tools/completion/command-tree';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  ...globSync(['docs/**/*.md', '{scripts,test}/**/README.md'], { cwd: ROOT }),
];

/** Returns the code of a page: blocks, with continued lines joined, and code in the text. */
function code(page: string): string[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  const blocks = [...text.matchAll(/^```\w*\n(.*?)^```$/gms)].map(([, block = '']) => block);
  const inline = [...text.replace(/^```.*?^```$/gms, '').matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
  return [...blocks.flatMap((block) => block.replaceAll('\\\n', ' ').split('\n')), ...inline];
}

/** Finds the matches of a pattern in the code of all pages. */
function inDocs(pattern: RegExp): { readonly page: string; readonly groups: Record<string, string> }[] {
  return PAGES.flatMap((page) =>
    code(page).flatMap((line) =>
      [...line.matchAll(pattern)].map(({ groups = {} }) => ({ page, groups: { ...groups } })),
    ),
  );
}

/** First words after the name in messages and comments. */
const PROSE: ReadonlySet<string> = new Set(['already', 'with']);

/** Returns the command that words lead to, as far as they are names of commands. */
function commandAt(command: CommandTree, [word, ...rest]: readonly string[]): CommandTree {
  const next = command.commands.find(({ aliases, name }) => name === word || aliases.includes(word ?? ''));
  return next === undefined ? command : commandAt(next, rest);
}

test('commands of gitaly-ts in the docs exist, with their options', async () => {
  const program = await programs(gitalyTsProgram)['gitaly-ts']();
  const lines = inDocs(/(?:^|[ /$(])gitaly-ts (?<words>[a-z][a-z-]+[^|#;&>)]*)/g);
  assert.ok(lines.length > 100, `${lines.length} lines`);

  const unknown = lines.flatMap(({ page, groups: { words = '' } }) => {
    const typed = words.trim().split(/\s+/);
    const command = commandAt(program, typed);
    if (command === program) return PROSE.has(typed[0] ?? '') ? [] : [`${page}: gitaly-ts ${typed[0]}`];
    // The text may speak of a group: its options are those of its commands.
    const known = commandPaths(command).flatMap((path) => completedWords(path.command.options));
    return [...words.matchAll(/(?:^|\s)(--[a-z][a-z-]*)/g)]
      .map(([, option = '']) => option)
      .filter((option) => !known.includes(option) && !known.includes(option.replace('--', '--no-')))
      .map((option) => `${page}: gitaly-ts ${words} ${option}`);
  });

  assert.deepEqual(unknown, []);
});

test('targets of make in the docs exist', () => {
  const targets = new Set(
    [...readFileSync(join(ROOT, 'Makefile'), 'utf8').matchAll(/^([a-z-]+):/gm)].map(([, name]) => name),
  );
  const made = inDocs(/^make (?<target>[a-z][a-z-]*)\s*(?:#.*)?$/g);
  assert.ok(made.length > 8);

  const unknown = made
    .filter(({ groups }) => !targets.has(groups.target))
    .map(({ page, groups }) => `${page}: make ${groups.target}`);

  assert.deepEqual(unknown, []);
});

// The client's page named packages to install that no registry had.
test('packages that are not published are installed from files, or after the first release', () => {
  const fromRegistry = inDocs(
    /\b(?:npm (?:install|i|exec)|npx) (?:-\S+ )*(?<package>gitaly-[a-z]+)(?:@\S*)?(?<rest>.*)$/g,
  );
  assert.ok(fromRegistry.length >= 2);

  const early = fromRegistry
    .filter(({ groups }) => !/# after the first release$/.test(groups.rest ?? ''))
    .map(({ page, groups }) => `${page}: ${groups.package}`);

  assert.deepEqual(early, []);
});

test('versions of package files in the docs are those that make packages writes', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const files = inDocs(/gitaly-(?:ts|client)-(?<version>\d[\d.]*)\.tgz/g);
  assert.ok(files.length >= 3);

  assert.deepEqual([...new Set(files.map((file) => file.groups.version))], [version]);
});

test('scripts of npm in the docs exist', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const used = inDocs(/\bnpm run (?:-s |--silent )?(?<script>[a-z][a-z:-]*)/g);
  assert.ok(used.length > 8);

  const unknown = used
    .filter(({ groups }) => !Object.hasOwn(scripts, groups.script ?? ''))
    .map(({ page, groups }) => `${page}: npm run ${groups.script}`);

  assert.deepEqual(unknown, []);
});

test('keys of configuration files in the docs exist', () => {
  const blocks = ['docs/server.md', 'docs/limits.md', 'docs/storage.md', 'docs/hooks.md'].flatMap((page) =>
    [...readFileSync(join(ROOT, page), 'utf8').matchAll(/^```toml\n(.*?)^```$/gms)].map(
      ([, toml = '']) => [page, toml] as const,
    ),
  );
  assert.ok(blocks.length > 5);

  const unknown = blocks.flatMap(([page, toml]) =>
    readConfigObject(parse(toml)).unknown.map(({ path }) => `${page}: ${path.join('.')}`),
  );

  assert.deepEqual(unknown, []);
});
