import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { importsIn, withoutImports } from '../import-graph.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Files that every test depends on. */
const EVERYTHING = /^(?:package(?:-lock)?\.json|tsconfig(?:\.build)?\.json)$/;
const NAME_OF_SOURCE = /[\w.-]+\.ts\b/g;
/** The programs of bin/ and dist/, whose code is in src/cli/. */
const STARTS_PROGRAMS = /\b(?:dist|bin)\//;

/** Returns the test files that can execute one of the files, or read it. */
export function testsThatReach(files: readonly string[]): Set<string> {
  return new Set(affectedTests(readSources(), files).keys());
}

/** Returns the text of each source file, by its path below the root. */
export function readSources(): Map<string, string> {
  const all = globSync('{src,test,scripts,bench}/**/*.ts', { cwd: ROOT });
  return new Map(all.map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]));
}

/** Returns the files that have changed since a commit, tracked or not. */
export function changedFiles(commit: string): string[] {
  return [
    ...git('diff', '--name-only', '-z', '--no-renames', commit, '--'),
    ...git('ls-files', '--others', '--exclude-standard', '-z'),
  ];
}

/**
 * Returns the test files that reach a changed file: by imports, by its name in a text, or because
 * they are near a changed file that is no source. The values are the imports between the two, 0 for
 * a changed test.
 *
 * @param sources the text of each source file, by its path below the root
 */
export function affectedTests(
  sources: ReadonlyMap<string, string>,
  changed: readonly string[],
): Map<string, number> {
  const tests = [...sources.keys()].filter((file) => file.endsWith('.test.ts'));
  if (changed.some((file) => EVERYTHING.test(file))) return new Map(tests.map((file) => [file, 0]));
  const texts = new Map([...sources].map(([file, text]) => [file, withoutImports(text)]));
  const importers = importersOf(sources, texts);
  const reached = new Map<string, number>();
  let next = new Set(changed.flatMap((file) => [file, ...usersOf(file, texts)]));
  for (let distance = 0; next.size > 0; distance += 1) {
    for (const file of next) reached.set(file, distance);
    const following = [...next].flatMap((file) => importers.get(file) ?? []);
    next = new Set(following.filter((file) => !reached.has(file)));
  }
  return new Map([...reached].filter(([file]) => file.endsWith('.test.ts') && sources.has(file)));
}

/** Returns the files that import each file, name it, or start it as a program. */
function importersOf(
  sources: ReadonlyMap<string, string>,
  texts: ReadonlyMap<string, string>,
): Map<string, string[]> {
  const importers = new Map<string, string[]>();
  const add = (target: string, file: string): void => {
    const known = importers.get(target) ?? [];
    known.push(file);
    importers.set(target, known);
  };
  const programs = [...sources.keys()].filter((file) => file.startsWith('src/cli/bin/'));
  const byName = Map.groupBy(sources.keys(), (file) => posix.basename(file));
  for (const [file, text] of sources) {
    for (const { name } of importsIn(text)) add(targetOf(file, name), file);
    for (const [name] of (texts.get(file) ?? '').matchAll(NAME_OF_SOURCE))
      for (const target of byName.get(name) ?? []) add(target, file);
    // A file of tests that starts one program of dist/ may start others through it.
    if (!file.startsWith('src/cli/') && STARTS_PROGRAMS.test(texts.get(file) ?? ''))
      for (const program of programs) add(program, file);
  }
  return importers;
}

function targetOf(file: string, name: string): string {
  if (name.startsWith('#wire/gen/')) return `src/${name.slice(1)}.js`;
  return name.startsWith('#') ? `src/${name.slice(1)}.ts` : posix.join(posix.dirname(file), name);
}

/**
 * Returns the files that use a file that is no source: those that contain its name, and the tests
 * in its folder and in the one above. The server's sources name documents only in comments.
 */
function usersOf(changed: string, texts: ReadonlyMap<string, string>): string[] {
  if (changed.endsWith('.ts')) return [];
  const folder = posix.dirname(changed);
  const near = [folder, posix.dirname(folder)];
  const name = posix.basename(changed);
  return [...texts].flatMap(([file, text]) => {
    const isNear = file.endsWith('.test.ts') && near.includes(posix.dirname(file));
    const isComment = changed.endsWith('.md') && file.startsWith('src/') && !file.endsWith('.test.ts');
    return isNear || (!isComment && text.includes(name)) ? [file] : [];
  });
}

function git(...args: string[]): string[] {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`git ${args[0]}: ${stderr.trim()}`);
  return stdout.split('\0').filter(Boolean);
}
