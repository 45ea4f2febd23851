/** Finds the RPCs that tests call, in the syntax trees of the tests. */
import { globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { parseSync } from 'oxc-parser';
import { isNode, type Node, walk } from './expressions/syntax-node.ts';

/** Module of our client, whose functions for git's protocols each make one call. */
const CLIENT = '#client/index';

/** Calls and imports of a source file. */
interface Reading {
  /** Names of methods that are called on an object, or taken from a table `x.method`. */
  readonly called: ReadonlySet<string>;
  /** String literals such as `/gitaly.RefService/RefExists`. */
  readonly paths: ReadonlySet<string>;
  /** Relative imports, as paths below the root. */
  readonly imports: readonly string[];
}

/**
 * Returns the test files, by RPC. A call is `x.findCommit(…)` with a method's local name, a use of
 * `CommitService.method.findCommit`, or the method's path as a string. A test calls what the
 * helpers call that it imports, and what functions of our client do for it.
 *
 * @param options.files patterns of tests and their helpers.
 */
export function callingTests(
  root: string,
  methods: readonly { readonly path: string; readonly localName: string }[],
  files: readonly string[],
): Map<string, string[]> {
  const readings = new Map(
    globSync([...files], { cwd: root }).map((file) => [
      file,
      readSource(file, readFileSync(`${root}/${file}`, 'utf8')),
    ]),
  );
  const tests = [...readings.keys()].filter((file) => file.endsWith('.test.ts')).sort();
  const calls = new Map<string, string[]>(methods.map(({ path }) => [path, []]));
  for (const test of tests) {
    const all = withHelpers(test, readings);
    for (const { path, localName } of methods) {
      if (all.some(({ called, paths }) => called.has(localName) || paths.has(path)))
        calls.get(path)?.push(test);
    }
  }
  return calls;
}

/** Returns the reading of a test and of the files that it imports, as far as they are helpers. */
function withHelpers(test: string, readings: ReadonlyMap<string, Reading>): Reading[] {
  const seen = new Set<string>();
  const found: Reading[] = [];
  const visit = (file: string): void => {
    const reading = readings.get(file);
    if (seen.has(file) || reading === undefined) return;
    seen.add(file);
    found.push(reading);
    for (const name of reading.imports) visit(name);
  };
  visit(test);
  return found;
}

/** Parses a source file. */
export function readSource(file: string, source: string): Reading {
  const { program, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const [called, paths, imports] = [new Set<string>(), new Set<string>(), [] as string[]];
  walk(program, (node) => {
    if (node.type === 'CallExpression') addName(called, node.callee);
    else if (node.type === 'MemberExpression' && nameOf(node.object) === 'method') addName(called, node);
    else if (node.type === 'Literal' && typeof node.value === 'string' && node.value.startsWith('/gitaly.'))
      paths.add(node.value);
    else if (node.type === 'ImportDeclaration' && isNode(node.source)) {
      const name = String(node.source.value);
      if (name.startsWith('.')) imports.push(posix.join(posix.dirname(file), name));
      if (name === CLIENT) imports.push(...importedNames(node).map(clientFile));
    }
  });
  return { called, paths, imports };
}

/** Returns the file of a function of our client, which makes the call for its user. */
function clientFile(name: string): string {
  return `src/client/git/${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.ts`;
}

function importedNames({ specifiers }: Node): string[] {
  if (!Array.isArray(specifiers)) return [];
  return specifiers.flatMap((each) =>
    isNode(each) && isNode(each.imported) ? [String(each.imported.name)] : [],
  );
}

/** Returns the last name of `a.b.c`. */
function nameOf(node: unknown): string | undefined {
  if (!isNode(node) || node.type !== 'MemberExpression') return undefined;
  return isNode(node.property) && typeof node.property.name === 'string' ? node.property.name : undefined;
}

function addName(names: Set<string>, node: unknown): void {
  const name = nameOf(node);
  if (name !== undefined) names.add(name);
}
