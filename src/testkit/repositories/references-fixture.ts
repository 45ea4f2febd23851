import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RefQuery } from '#git/refs/git/for-each-ref';
import type { ListedRef } from '#git/refs/storage/listed-ref';
import type { GitRepository } from '#git/repository';
import { outputSync } from '../run-program-sync.ts';
import { makeScratchDirectory } from '../scratch-directory.ts';
import { GitFixture } from './git-fixture.ts';
import { gitOutput, initRepository } from './init-repository.ts';
import { GIT_ENVIRONMENT } from './run-git.ts';

/** A repository with three commits and no references. */
export interface ReferencesRepository {
  readonly repository: GitRepository;
  readonly path: string;
  readonly commits: readonly string[];
  run(...args: string[]): string;
}

/** Repositories whose references are listed, and compared with git's list. */
export class ReferencesFixture {
  readonly git: GitFixture;
  /** Subcommands of git that were started to answer, until a test empties it. */
  readonly started: string[];
  readonly #directory = makeScratchDirectory('list-refs');
  #count = 0;

  private constructor(git: GitFixture, started: string[]) {
    this.git = git;
    this.started = started;
  }

  static async start(): Promise<ReferencesFixture> {
    const started: string[] = [];
    const git = await GitFixture.start({ observer: ({ subcommand }) => void started.push(subcommand) });
    return new ReferencesFixture(git, started);
  }

  createRepository(
    objectFormat: 'sha1' | 'sha256' = 'sha1',
    referenceBackend: 'files' | 'reftable' = 'files',
  ): ReferencesRepository {
    const path = this.newPath('git');
    initRepository(path, { objectFormat, referenceBackend });
    const run = (...args: string[]): string => gitOutput(path, args);
    const tree = gitOutput(path, ['mktree'], '');
    const commits = ['one', 'two', 'three'].map((message) => run('commit-tree', '-m', message, tree));
    return { repository: this.git.open(path), path, commits, run };
  }

  /** Returns an unused path in the fixture's directory. */
  newPath(ending: string): string {
    return join(this.#directory, `${this.#count++}.${ending}`);
  }

  /** Returns git's list. */
  askGit(
    { path }: ReferencesRepository,
    args: readonly (string | Buffer)[],
    format = '%(objectname) %(refname)',
  ): string[] {
    // A shell keeps bytes that are not text unchanged.
    const words = args
      .map((arg) => `'${Buffer.from(arg).toString('latin1').replaceAll("'", "'\\''")}'`)
      .join(' ');
    const script = this.newPath('sh');
    writeFileSync(script, Buffer.from(`git for-each-ref '--format=${format}' ${words}`, 'latin1'));
    const output = outputSync('sh', [script], { cwd: path, env: GIT_ENVIRONMENT });
    return output.toString('latin1').split('\n').filter(Boolean);
  }

  /** Lists in process and compares with git. Returns the number of references. */
  async check(
    repository: ReferencesRepository,
    patterns: readonly (string | Buffer)[] = ['refs/'],
  ): Promise<number> {
    const found = await listReferences(repository, { patterns });
    assert.deepEqual(
      found.map((ref) => showReference(ref)),
      this.askGit(repository, patterns),
      patterns.join(' '),
    );
    return found.length;
  }

  async close(): Promise<void> {
    await this.git.close();
    rmSync(this.#directory, { recursive: true });
  }
}

/** Lists references as the server does. */
export async function listReferences(
  { repository }: ReferencesRepository,
  query: RefQuery,
  options: { peel?: boolean } = {},
): Promise<ListedRef[]> {
  return (await Array.fromAsync(repository.refs.list(query, options))).flat();
}

/** Returns a line of git's list. */
export function showReference({ oid, name, peeledOid }: ListedRef, peel = false): string {
  return `${oid} ${name.toString('latin1')}${peel ? ` ${peeledOid ?? ''}` : ''}`;
}
