/**
 * Checks that no test has an empty body, which passes and shows nothing. A test of what is missing
 * on a machine is skipped with a reason. It fails when it finds no file.
 *
 *   node scripts/check-tests.ts [ROOT]
 */
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Node, parseSync } from 'oxc-parser';
import { childrenOf, linesOf } from './syntax-tree.ts';

const root = resolve(process.argv[2] ?? join(import.meta.dirname, '..'));
const files = globSync('{src,scripts,test}/**/*.test.ts', { cwd: root }).sort();
const complaints = files.flatMap((file) => {
  const source = readFileSync(join(root, file), 'utf8');
  const lineOf = linesOf(source);
  return [...emptyTests(parseSync(file, source).program)].map(
    ({ start }) => `${file}:${lineOf(start)}: a test without a body: skip it with a reason, or remove it`,
  );
});
if (files.length === 0) complaints.push('saw no file');
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
else console.log(`tests: ${files.length} files`);

/** Yields the calls of `test` whose function does nothing. */
function* emptyTests(node: Node): Generator<Node> {
  if (node.type === 'CallExpression' && node.callee.type === 'Identifier' && node.callee.name === 'test') {
    const body = node.arguments.at(-1);
    const isFunction = body?.type === 'ArrowFunctionExpression' || body?.type === 'FunctionExpression';
    if (isFunction && body.body?.type === 'BlockStatement' && body.body.body.length === 0) yield node;
  }
  for (const [child] of childrenOf(node)) yield* emptyTests(child);
}
