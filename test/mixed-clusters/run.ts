/**
 * Makes the calls of test/votes, refused ones and others in clusters of this project's programs and
 * Gitaly's, and reports where replicas differ:
 *
 *     node --conditions=source test/mixed-clusters/run.ts --gitaly PATH --praefect PATH --git PATH
 *
 * `--older PATH` is an older Gitaly. `--cluster 'real; ours, older, ours'` selects a praefect and
 * its nodes, `--only WORD` writes by name. The directory of each program needs Gitaly's others.
 */
import { parseArgs } from 'node:util';
import { makeVotingSource } from './fixture.ts';
import { type MixedCluster, type Program, startMixedCluster } from './mixed-cluster.ts';
import { checkReads, checkRepositories, checkReturns } from './scenarios.ts';
import { makeWrite, WRITES } from './writes.ts';

const CLUSTERS = [
  'ours; ours, ours, real',
  'ours; real, ours, real',
  'real; ours, ours, ours',
  'real; ours, ours, real',
  'real; real, ours, real',
];

const {
  cluster: clusters = CLUSTERS,
  git,
  only = '',
  ...paths
} = parseArgs({
  options: {
    gitaly: { type: 'string' },
    older: { type: 'string' },
    praefect: { type: 'string' },
    git: { type: 'string' },
    cluster: { type: 'string', multiple: true },
    only: { type: 'string' },
  },
}).values;

let wrong = 0;
await using source = await makeVotingSource();
for (const name of clusters) await check(name);
process.exitCode = wrong === 0 ? 0 : 1;

function programOf(word: string, real: string | undefined): Program {
  if (word === 'ours') return word;
  const path = word === 'older' ? paths.older : real;
  if (path === undefined) throw new Error(`no program for “${word}”: see the beginning of run.ts`);
  return { path };
}

async function check(name: string): Promise<void> {
  const [praefect = '', nodes = ''] = name.split('; ');
  if (git === undefined) throw new Error('--git is missing');
  await using cluster = await startMixedCluster({
    praefect: programOf(praefect, paths.praefect),
    nodes: nodes.split(', ').map((word) => programOf(word, paths.gitaly)),
    git,
  });
  const report = (what: string, { problems, note }: Result): void => {
    if (problems.length > 0) wrong++;
    const found = [...problems, ...(note === undefined ? [] : [`(${note})`])];
    if (found.length > 0) console.log(`${name}: ${what}: ${found.join('; ')}`);
  };
  await checkWrites(cluster, report);
  if (only !== '') return;
  for (const scenario of [checkRepositories, checkReads, checkReturns])
    for await (const [what, problems] of scenario(cluster, source)) report(what, { problems });
}

interface Result {
  readonly problems: readonly string[];
  readonly note?: string | undefined;
}

async function checkWrites(
  cluster: MixedCluster,
  report: (what: string, result: Result) => void,
): Promise<void> {
  let count = 0;
  for (const primary of cluster.numbers)
    for (const [index, write] of WRITES.entries()) {
      if (!write.name.includes(only)) continue;
      const result = await makeWrite(cluster, write, {
        source,
        relativePath: `${primary}-${index}.git`,
        primary,
      });
      report(`${write.name}, primary ${primary}`, result);
      count++;
    }
  report(`${count} writes`, { problems: [], note: 'made' });
}
