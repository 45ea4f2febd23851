/**
 * Checks that no test has an empty body, which passes and shows nothing. A test of what is missing
 * on a machine is skipped with a reason. It complains when it finds no file.
 */
import type { Node } from 'oxc-parser';
import type { Findings, SourceTree } from './source-tree.ts';
import { childrenOf, linesOf } from './syntax-tree.ts';

export function checkTests(tree: SourceTree): Findings {
  const files = tree.files('{src,scripts,test}/**/*.test.ts');
  const complaints = files.flatMap((file) => {
    const lineOf = linesOf(tree.text(file));
    return [...emptyTests(tree.program(file))].map(
      ({ start }) => `${file}:${lineOf(start)}: a test without a body: skip it with a reason, or remove it`,
    );
  });
  if (files.length === 0) complaints.push('saw no file');
  return { complaints, summary: `${files.length} files` };
}

/** Yields the calls of `test` whose function does nothing. */
function* emptyTests(node: Node): Generator<Node> {
  if (node.type === 'CallExpression' && node.callee.type === 'Identifier' && node.callee.name === 'test') {
    const body = node.arguments.at(-1);
    const isFunction = body?.type === 'ArrowFunctionExpression' || body?.type === 'FunctionExpression';
    if (isFunction && body.body?.type === 'BlockStatement' && body.body.body.length === 0) yield node;
  }
  for (const [child] of childrenOf(node)) yield* emptyTests(child);
}
