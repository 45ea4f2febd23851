import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runGit } from '#testkit/repositories/run-git';
import type { Person, Team, Transport, Workshop } from './team.ts';
import { APP, type Weeks } from './weeks.ts';

/** Reason to skip what needs git-lfs. */
export const NO_LFS = spawnSync('git', ['lfs', 'version']).status === 0 ? false : 'there is no git-lfs';
const NAME = 'picture.bin';
const BRANCH = 'pictures';
/** More than a file of git may have by the rules. */
const BYTES = 300_000;

/** A file of Git LFS on a branch of the application. */
export class LargeFile {
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
