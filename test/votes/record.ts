/**
 * Records the votes of a real Gitaly in `recorded.json`, for `recorded-votes.test.ts`:
 *
 *     node --conditions=source test/votes/record.ts --gitaly PATH --git PATH
 *
 * The directory of PATH must have Gitaly's other programs, such as `gitaly-hooks`.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startInternalApi } from '#testkit/servers/internal-api';
import { until } from '#testkit/until';
import { takeVotes } from './take-votes.ts';

const START_MS = 60_000;

const { gitaly, git } = parseArgs({
  options: { gitaly: { type: 'string' }, git: { type: 'string' } },
}).values;
if (gitaly === undefined || git === undefined) throw new Error('usage: record.ts --gitaly PATH --git PATH');

const directory = makeScratchDirectory('votes');
const storage = join(directory, 'default');
const socket = join(directory, 's');
await using stack = new AsyncDisposableStack();
stack.defer(() => rmSync(directory, { recursive: true }));
const api = stack.use(await startInternalApi());
mkdirSync(storage);
mkdirSync(join(directory, 'run'));
const config = join(directory, 'config.toml');
writeFileSync(
  config,
  `socket_path = "${socket}"
runtime_dir = "${join(directory, 'run')}"
bin_dir = "${dirname(gitaly)}"
[[storage]]
name = "default"
path = "${storage}"
[git]
bin_path = "${git}"
[gitlab]
url = "${api.url}"
secret = "${api.secret}"
`,
);
const log = join(directory, 'log');
const child = spawn(gitaly, ['serve', config], {
  stdio: ['ignore', 'pipe', 'pipe'],
  // Without it Gitaly requires its bundled git, also with `bin_path`.
  env: { ...process.env, GITALY_TESTING_GIT_BINARY: git },
});
const written = createWriteStream(log);
child.stdout.pipe(written, { end: false });
child.stderr.pipe(written, { end: false });
const exited = once(child, 'exit');
stack.defer(async () => {
  child.kill();
  await exited;
});
await until(() => existsSync(socket) || child.exitCode !== null, 'Gitaly listens', START_MS);
if (child.exitCode !== null) throw new Error(`gitaly does not start: ${readFileSync(log, 'utf8')}`);

const calls = await takeVotes(`unix:${socket}`, storage);
const failed = Object.entries(calls).filter(([, { error }]) => error !== undefined);
if (failed.length > 0) throw new Error(failed.map(([name, { error }]) => `${name}: ${error}`).join('\n'));
const versionOf = (program: string, option: string): string =>
  execFileSync(program, [option], { encoding: 'utf8' }).trim();
const recorded = {
  gitaly: versionOf(gitaly, '--version'),
  git: versionOf(git, '--version'),
  calls: Object.fromEntries(Object.entries(calls).map(([name, { votes }]) => [name, votes])),
};
writeFileSync(join(import.meta.dirname, 'recorded.json'), `${JSON.stringify(recorded, undefined, 2)}\n`);
process.stdout.write(`recorded ${Object.keys(calls).length} calls\n`);
