/**
 * Refuses regular expressions below `src` whose time may grow faster than their input (recheck),
 * and expressions that are made at run time. expressions/exceptions.ts lists those with a bounded
 * input. Prints each as `file:line: reason`. It fails when it finds no expression.
 *
 * expressions/safe.json has those that recheck has found safe; a new one takes some seconds. Remove
 * the file to check all again.
 *
 * node scripts/check-expressions.ts [ROOT]
 */
import { globSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EXCEPTIONS } from './expressions/exceptions.ts';
import { type Expression, findExpressions } from './expressions/find-expressions.ts';
import { expressionKey, verdictsOf } from './expressions/verdicts.ts';

/** Tests and their tools see only our own texts. */
const EXEMPT = /\.test\.ts$|^src\/testkit\/|^src\/wire\/gen\//;

const home = join(import.meta.dirname, '..');
const root = resolve(process.argv[2] ?? home);
const files = globSync('src/**/*.ts', { cwd: root })
  .filter((file) => !EXEMPT.test(file))
  .sort();
const expressions = files.flatMap((file) => findExpressions(root, file));
const constant = expressions.flatMap((each) =>
  each.source === undefined || isListed(each) ? [] : [{ source: each.source, flags: each.flags }],
);
const verdicts = await verdictsOf(constant, join(root, 'scripts/expressions/safe.json'));

const complaints = [
  ...expressions.flatMap((expression) => complaintAbout(expression)),
  ...(root === home ? unusedExceptions() : []),
];
if (expressions.length === 0) complaints.push('saw no expression');
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
else console.log(`expressions: ${expressions.length} in ${files.length} files`);

function complaintAbout(expression: Expression): string[] {
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
function unusedExceptions(): string[] {
  return EXCEPTIONS.filter(
    ({ file, pattern }) => !expressions.some((each) => each.file === file && each.source === pattern?.source),
  ).map(({ file, pattern }) => `scripts/expressions/exceptions.ts: ${file} no longer has ${pattern}`);
}
