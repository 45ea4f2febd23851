import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { seededRandom } from '#testkit/repositories/random-history';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { testSeed } from '#testkit/test-seed';
import { steady, until } from '#testkit/until';
import { checkContents, checkReaders, checkRefusals, checkSecrets, referencesOf } from './checks.ts';
import { InstalledServer } from './installed-server.ts';
import { type Person, Team, type Transport, Workshop } from './team.ts';
import { APP, copyOf, Weeks } from './weeks.ts';

const MIRROR = 'mirror/app';

/**
 * Lets five people work with a server for some weeks: with a backup, the loss of the machine, a
 * restore and an upgrade.
 *
 * @param command that runs `gitaly-ts`. @param days of work in each of four weeks.
 */
export async function workAsTeam(t: TestContext, command: readonly string[], days: number): Promise<void> {
  const seed = testSeed();
  t.diagnostic(`seed ${seed}`);
  const directory = makeScratchDirectory('team');
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  await using server = await InstalledServer.make(directory, command);
  const [team, workshop] = [new Team(server), new Workshop(directory)];
  const weeks = new Weeks(team, workshop, seededRandom(seed));
  const week = async (): Promise<void> => {
    for (let day = 0; day < days; day++) await weeks.day();
  };
  const file = new LargeFile(team);
  const isKept = (): Promise<void> =>
    t.test('a large file is there', { skip: NO_LFS }, async () => {
      for (const transport of team.transports('rita')) await file.check('rita', transport);
    });
  await workshop.open();
  await team.join();
  await server.start();
  await team.learnHostKey();

  await weeks.begin();
  await week();
  await weeks.administer();
  await t.test('a large file is pushed', { skip: NO_LFS }, () => file.push('bob', 'ssh', weeks, workshop));
  await mirror(team, weeks);
  await weeks.refuseEach();
  await server.rotateLog();
  await week();
  await server.backUp();
  const backedUp = weeks.snapshot();
  await weeks.day(); // These pushes are lost with the machine.
  // The lines of its last moment are lost with the machine, too.
  await steady(() => server.logText().length);
  await server.loseMachine();
  await server.restore();
  await server.start();
  weeks.repositories = backedUp;
  await checkContents(team, workshop, weeks.repositories);
  await isKept();

  await week();
  await server.stop('SIGTERM');
  await server.start(); // as after an upgrade
  await week();
  await server.rotateLog();
  await weeks.day();
  await server.stop('SIGTERM');
  await server.start();
  await mirror(team, weeks);
  await checkContents(team, workshop, weeks.repositories);
  await isKept();
  await checkReaders(team, [...weeks.repositories.keys()]);

  const metrics = await server.metrics();
  await server.stop('SIGTERM');
  const log = server.logText();
  checkRefusals(log, weeks.refusals);
  checkSecrets(team.secrets(), { log, metrics, output: server.output });
  t.diagnostic(`${weeks.refusals.length} refused pushes, ${log.split('\n').length} lines of the log`);
}

/** Mirrors the application, from the server itself, with the login of somebody. A mirror that is set runs at once. */
async function mirror(team: Team, weeks: Weeks): Promise<void> {
  const { server } = team;
  const url = new URL(team.url('ann', 'http', APP));
  const login = server.give('login', `ann:${decodeURIComponent(url.password)}\n`);
  url.username = url.password = '';
  await server.did('repo', 'mirror', MIRROR, url.href, '--credentials', login, '--to', server.data);
  const source = weeks.repositories.get(APP);
  assert.ok(source !== undefined);
  const expected = [...source.references].sort().join();
  await until(async () => [...(await referencesOf(team, MIRROR)).references].join() === expected);
  weeks.repositories.set(MIRROR, copyOf(source));
  await weeks.refuseForMirror(MIRROR);
}

/** Reason to skip what needs git-lfs. */
const NO_LFS = spawnSync('git', ['lfs', 'version']).status === 0 ? false : 'there is no git-lfs';
const NAME = 'picture.bin';
const BRANCH = 'pictures';
/** More than a file of git may have by the rules. */
const BYTES = 300_000;

/** A file of Git LFS on a branch of the application. */
class LargeFile {
  readonly #team: Team;
  readonly #content = randomBytes(BYTES);

  constructor(team: Team) {
    this.#team = team;
  }

  /** Pushes it, and expects its branch from the server. */
  async push(by: Person, transport: Transport, weeks: Weeks, workshop: Workshop): Promise<void> {
    const path = await this.#clone('pictures-work');
    await runGit(['-C', path, 'lfs', 'track', '*.bin']);
    writeFileSync(join(path, NAME), this.#content);
    await runGit(['-C', path, 'add', '-A']);
    await runGit(['-C', path, 'commit', '-q', '-m', 'A picture']);
    const url = this.#team.url(by, transport, APP);
    await this.#did(by, '-C', path, 'push', '-q', url, `HEAD:refs/heads/${BRANCH}`);
    await workshop.git('fetch', '-q', path, `HEAD:refs/heads/${BRANCH}`);
    const commit = await runGit(['-C', path, 'rev-parse', 'HEAD']);
    weeks.repositories.get(APP)?.references.set(`refs/heads/${BRANCH}`, commit);
  }

  /** Asserts that somebody gets it. */
  async check(by: Person, transport: Transport): Promise<void> {
    const path = await this.#clone('pictures-copy');
    await runGit(['-C', path, 'remote', 'add', 'origin', this.#team.url(by, transport, APP)]);
    await this.#did(by, '-C', path, 'pull', '-q', 'origin', BRANCH);
    assert.ok(readFileSync(join(path, NAME)).equals(this.#content));
    rmSync(path, { recursive: true });
  }

  async #clone(name: string): Promise<string> {
    const path = join(this.#team.server.directory, name);
    mkdirSync(path);
    await runGit(['init', '-q', '-b', BRANCH, path]);
    await runGit(['-C', path, 'lfs', 'install', '--local']);
    // It would leave directories for its sockets.
    await runGit(['-C', path, 'config', 'lfs.ssh.automultiplex', 'false']);
    return path;
  }

  async #did(by: Person, ...args: string[]): Promise<void> {
    const { code, stderr } = await this.#team.git(by, ...args);
    assert.equal(code, 0, stderr);
  }
}
