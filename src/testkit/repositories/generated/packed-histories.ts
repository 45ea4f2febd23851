import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { type FetchRequest, RequestParser } from '#domain/upload-pack/request-parser';
import type { ObjectFormatName } from '#git/repository-files/repository-format';
import { fastImport } from '../commit-files.ts';
import { idsInPack } from '../ids-in-pack.ts';
import { gitOutput } from '../init-repository.ts';
import { FLUSH, packet } from '../push.ts';
import { type Random, seededRandom } from '../random-history.ts';
import { StorageFixture } from '../storage-fixture.ts';
import { createRandomRepository } from './random-repository.ts';

/** A repository of {@link packedHistories}. */
export interface Made {
  readonly path: string;
  readonly relativePath: string;
  readonly git: (...args: string[]) => string;
}

/** More than what is read of a pack at once. */
const LONG_BYTES = 560_000;

/** Returns a storage that ends with the test file that calls this, and makes repositories in it. */
export async function packedHistories() {
  const fixture = await StorageFixture.create();
  after(() => fixture[Symbol.asyncDispose]());
  let count = 0;
  return {
    fixture,
    make: (seed: number, objectFormat: ObjectFormatName = 'sha1', commits = 60): Made =>
      make(fixture.storage.path, `whole-${++count}.git`, { seed, objectFormat, commits }),
    /** Returns the ids in a pack, as {@link idsInPack}. */
    idsIn: (pack: Buffer, objectFormat: ObjectFormatName, options?: readonly string[]): string[] =>
      idsInPack(pack, { directory: fixture.root, objectFormat, options }),
  };
}

interface MakeOptions {
  readonly seed: number;
  readonly objectFormat: ObjectFormatName;
  readonly commits: number;
}

/**
 * Creates a repository: a random history of 60 commits, and one of 25 where a file changes a little
 * each time, with a long one at its end. There are tags of a commit, of a tag and of a file.
 */
function make(storage: string, relativePath: string, { seed, objectFormat, commits }: MakeOptions): Made {
  const path = join(storage, relativePath);
  const git = createRandomRepository(path, { count: commits, seed, objectFormat });
  fastImport(path, Buffer.from(similarFiles(seededRandom(seed))));
  git('tag', '-a', '-m', 'of a commit', 'one', 'c20');
  git('tag', '-a', '-m', 'of a tag', 'two', 'one');
  const file = gitOutput(path, ['hash-object', '-w', '--stdin'], 'in no commit');
  git('tag', '-a', '-m', 'of a file', 'three', file);
  return { path, relativePath, git };
}

/** Returns a stream of 25 commits, each with a branch. */
function similarFiles(random: Random): string {
  const lines = Array.from({ length: 200 }, (_, line) => `line ${line} ${random()}`);
  const commits = Array.from({ length: 25 }, (_, index) => {
    lines[Math.floor(random() * lines.length)] = `changed ${random()}`;
    if (random() < 0.5) lines.push(`added ${random()}`);
    const content = lines.join('\n');
    const from = index === 0 ? '' : `from refs/heads/s${index - 1}\n`;
    const head = `commit refs/heads/s${index}\ncommitter C <c@example.com> 1600000000 +0000\ndata 1\nm\n`;
    return `${head}${from}M 100644 inline similar\ndata ${content.length}\n${content}\n`;
  });
  const long = randomBytes(LONG_BYTES / 2).toString('hex');
  return `${commits.join('')}M 100644 inline long\ndata ${long.length}\n${long}\n`;
}

export const PACKINGS = {
  'one pack': ({ git }: Made) => git('-c', 'pack.writeReverseIndex=true', 'repack', '-adbq'),
  'one pack without a reverse index': ({ git }: Made) =>
    git('-c', 'pack.writeReverseIndex=false', 'repack', '-adbq'),
  'one pack with names of bases': ({ git }: Made) =>
    git('-c', 'repack.useDeltaBaseOffset=false', 'repack', '-adbqf'),
  /** Each object is in one of them. */
  'several packs': ({ git, path }: Made) => {
    unpackAll(path);
    for (const end of ['c20', 's20'])
      gitOutput(path, ['pack-objects', '-q', '--revs', '--unpacked', 'objects/pack/pack'], `${end}\n`);
    git('repack', '-dq');
    git('multi-pack-index', 'write', '--bitmap');
    git('prune-packed');
    assert.equal(readdirSync(join(path, 'objects/pack')).filter((name) => name.endsWith('.pack')).length, 3);
  },
};
/** Makes all objects loose. */
export function unpackAll(path: string): void {
  const directory = join(path, 'objects/pack');
  for (const name of readdirSync(directory)) {
    const bytes = readFileSync(join(directory, name));
    rmSync(join(directory, name));
    if (name.endsWith('.pack')) gitOutput(path, ['unpack-objects', '-q'], bytes);
  }
}

/** Packs everything into one pack with a bitmap. */
export const packAll = PACKINGS['one pack'];

/** Returns the ids of all references. */
export function tipsOf({ git }: Made): string[] {
  return [...new Set(git('for-each-ref', '--format=%(objectname)').split('\n'))];
}

/** Returns a request of protocol v2. @param others arguments besides the usual ones. */
export function fetchRequestBytes(wants: readonly string[], others: readonly string[] = ['done']): Buffer {
  const lines = ['thin-pack', 'ofs-delta', ...others, ...wants.map((want) => `want ${want}`)];
  const body = lines.map((line) => packet(`${line}\n`)).join('');
  const format = wants[0]?.length === 64 ? packet('object-format=sha256') : '';
  return Buffer.from(`${packet('command=fetch')}${format}0001${body}${FLUSH}`);
}

/** Returns a request as the server parses it. @param others as for {@link fetchRequestBytes}. */
export function requestOf(...request: Parameters<typeof fetchRequestBytes>): FetchRequest {
  const parsed = new RequestParser().push(fetchRequestBytes(...request));
  assert.ok(typeof parsed === 'object' && parsed.name === 'fetch');
  return parsed;
}

/** Returns the pack in the packets of an answer. */
export function packIn(answered: readonly Buffer[]): Buffer {
  return Buffer.concat(answered.filter(([band]) => band === 1).map((each) => each.subarray(1)));
}
