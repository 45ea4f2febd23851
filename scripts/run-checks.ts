/**
 * Runs checks of the source tree in one process, which reads and parses each file once, and prints
 * all that they find.
 *
 *   node scripts/run-checks.ts [NAME …]
 */
import { checkExpressions } from './check-expressions.ts';
import { checkLayers } from './check-layers.ts';
import { checkNames } from './check-names.ts';
import { checkReferences } from './check-references.ts';
import { checkSizes } from './check-sizes.ts';
import { checkTests } from './check-tests.ts';
import { checkWaits } from './check-waits.ts';
import { checkWords } from './check-words.ts';
import { type Findings, PROJECT, SourceTree } from './source-tree.ts';

const CHECKS: Readonly<Record<string, (tree: SourceTree) => Findings | Promise<Findings>>> = {
  layers: checkLayers,
  sizes: checkSizes,
  names: checkNames,
  waits: checkWaits,
  tests: checkTests,
  words: checkWords,
  references: checkReferences,
  expressions: checkExpressions,
};

const names = process.argv.slice(2);
const tree = new SourceTree(PROJECT);
for (const name of names.length > 0 ? names : Object.keys(CHECKS)) {
  const check = CHECKS[name];
  if (check === undefined) throw new Error(`there is no check ${name}: ${Object.keys(CHECKS).join(', ')}`);
  const { complaints, summary } = await check(tree);
  for (const complaint of complaints) console.error(complaint);
  if (complaints.length > 0) process.exitCode = 1;
  else console.log(`${name}: ${summary}`);
}
