/**
 * Refuses regular expressions below `src` whose time may grow faster than their input (recheck),
 * and expressions that are made at run time. expressions/exceptions.ts lists those with a bounded
 * input. It complains when it finds none.
 *
 * expressions/safe.json has those that recheck has found safe; a new one takes some seconds. Remove
 * the file to check all again.
 */
import { join } from 'node:path';
import { EXCEPTIONS } from './expressions/exceptions.ts';
import { type Expression, findExpressions } from './expressions/find-expressions.ts';
import { expressionKey, type Verdict, verdictsOf } from './expressions/verdicts.ts';
import type { Findings, SourceTree } from './source-tree.ts';

/** Tests and their tools see only our own texts. */
const EXEMPT = /\.test\.ts$|^src\/testkit\/|^src\/wire\/gen\//;

export async function checkExpressions(tree: SourceTree): Promise<Findings> {
  const files = tree.files('src/**/*.ts', EXEMPT);
  const expressions = files.flatMap((file) => findExpressions(tree, file));
  const constant = expressions.flatMap((each) =>
    each.source === undefined || isListed(each) ? [] : [{ source: each.source, flags: each.flags }],
  );
  const verdicts = await verdictsOf(constant, join(tree.root, 'scripts/expressions/safe.json'));

  const complaints = [
    ...expressions.flatMap((expression) => complaintAbout(expression, verdicts)),
    ...(tree.isProject ? unusedExceptions(expressions) : []),
  ];
  if (expressions.length === 0) complaints.push('saw no expression');
  return { complaints, summary: `${expressions.length} in ${files.length} files` };
}

function complaintAbout(expression: Expression, verdicts: ReadonlyMap<string, Verdict>): string[] {
  const { file, line, source, flags } = expression;
  if (isListed(expression)) return [];
  if (source === undefined)
    return [
      `${file}:${line}: made at run time; use GoRegexp, or list it in scripts/expressions/exceptions.ts`,
    ];
  const verdict = verdicts.get(expressionKey({ source, flags }));
  if (verdict === 'safe') return [];
  const reason = verdict === 'unknown' ? 'recheck cannot decide' : `takes a time that is ${verdict}`;
  return [`${file}:${line}: ${reason}; read the text in another way: /${source}/${flags}`];
}

function isListed({ file, source }: Expression): boolean {
  return EXCEPTIONS.some((each) => each.file === file && each.pattern?.source === source);
}

/** Returns exceptions that no expression needs any more. */
function unusedExceptions(expressions: readonly Expression[]): string[] {
  return EXCEPTIONS.filter(
    ({ file, pattern }) => !expressions.some((each) => each.file === file && each.source === pattern?.source),
  ).map(({ file, pattern }) => `scripts/expressions/exceptions.ts: ${file} no longer has ${pattern}`);
}
