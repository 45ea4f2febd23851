/**
 * Prints what a release still needs: `ok` or `TODO` for each point, and the steps that only an
 * owner can take. Exit code 1 if there is a TODO. Changes nothing.
 *
 *   node scripts/release-check.ts [ROOT]
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isRecorded, RECORDED, type RunRecord, readRecords } from './records.ts';

/** Commits after which a record no longer tells much about the release. */
const MAX_COMMITS = 100;
/** Files with the version. */
const VERSIONED = {
  'package-lock.json': (version: string) => `"version": "${version}"`,
  'deploy/helm/gitaly/Chart.yaml': (version: string) => `appVersion: ${version}`,
  'deploy/helm/praefect/Chart.yaml': (version: string) => `appVersion: ${version}`,
  'deploy/kubernetes/backup-cronjob.yaml': (version: string) => `gitaly-ts:${version}`,
  'docs/ten-minutes.md': (version: string) => `gitaly-ts-${version}.tgz`,
  'docs/client/README.md': (version: string) => `gitaly-client-${version}.tgz`,
} as const;

const root = resolve(process.argv[2] ?? join(import.meta.dirname, '..'));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const git = (...args: string[]): string =>
  spawnSync('git', ['-C', root, ...args], { encoding: 'utf8' }).stdout.trim();

const { version } = JSON.parse(read('package.json'));
let todo = 0;
check(git('status', '--porcelain') === '', 'no file differs from the last commit', 'commit the changes');
check(git('tag', '--list', `v${version}`) === '', `v${version} is not tagged yet`, 'raise the version');
for (const [path, fileText] of Object.entries(VERSIONED))
  check(read(path).includes(fileText(version)), `${path} has ${version}`, `write ${fileText(version)}`);
const [, unreleased = '', released = ''] =
  /\n## Unreleased\n([\s\S]*?)\n## (.+)\n/.exec(read('CHANGELOG.md')) ?? [];
const isDated = new RegExp(`^${version.replaceAll('.', '\\.')} - \\d{4}-\\d{2}-\\d{2}$`).test(released);
check(isDated, `CHANGELOG.md has ${version} with its date`, `add the heading "## ${version} - DATE"`);
check(unreleased.trim() === '', 'CHANGELOG.md has nothing unreleased', `move it below ${version}`);
const records = readRecords(root);
for (const [name, command] of Object.entries(RECORDED)) {
  const record = isRecorded(name) ? records[name] : undefined;
  const problem = problemOf(record);
  check(problem === undefined, `${command}: ${summaryOf(record)}`, `${problem}: RECORD=1 ${command}`);
}
console.log(`
Only an owner can do this:
  register .github/workflows/release.yml at npm as trusted publisher of gitaly-ts and gitaly-client
  git tag --sign v${version} && git push origin v${version}
  watch the workflow "release", then install what it has published`);
process.exitCode = todo === 0 ? 0 : 1;

function check(isDone: boolean, fact: string, remedy: string): void {
  if (!isDone) todo++;
  console.log(isDone ? `ok    ${fact}` : `TODO  ${fact}: no; ${remedy}`);
}

function problemOf(record: RunRecord | undefined): string | undefined {
  if (record === undefined) return 'not recorded';
  if (!record.hasPassed) return 'it failed';
  if (record.commit.endsWith('+')) return 'files differed from the commit';
  const since = Number(git('rev-list', '--count', `${record.commit}..HEAD`) || 'NaN');
  if (!(since <= MAX_COMMITS)) return `${since} commits since then`;
  return undefined;
}

function summaryOf(record: RunRecord | undefined): string {
  if (record === undefined) return 'a passed run is recorded';
  const { commit, date, figures, git: gitVersion, node } = record;
  return `passed on ${date} at ${commit}, git ${gitVersion}, Node ${node}: ${figures.join('; ')}`;
}
