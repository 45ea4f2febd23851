import { createCipheriv } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { git, runProgram } from './run-program.ts';

/** Raise it when a recipe changes: repositories of other versions are built again. */
const VERSION = 1;
const CACHE = join(import.meta.dirname, '../../.cache/bench');
const MB = 1_000_000;
const FILES_PER_DIRECTORY = 50;
const MERGE_EVERY = 5;

/** Repositories of the benches. The same recipe gives the same objects everywhere. */
const RECIPES = {
  /** 100 commits of 20 files, one of them 4 KiB. */
  small: { commits: 100, blobs: 0, blobBytes: 0, references: 0 },
  '20-commits': { commits: 20, blobs: 0, blobBytes: 0, references: 0 },
  /** One commit of 5000 files of 1 KiB in 100 directories, packed with deltas. */
  '5k-files': { commits: 1, files: 5000, blobs: 0, blobBytes: 0, references: 0 },
  /** Every fifth commit merges a line of one commit. Packed, with a commit-graph, 2000 branches. */
  '50k-commits': { commits: 50_000, merges: true, blobs: 0, blobBytes: 0, references: 2000 },
  '1k-refs': { commits: 1, blobs: 0, blobBytes: 0, references: 1000 },
  '200k-refs': { commits: 1, blobs: 0, blobBytes: 0, references: 200_000 },
  '20mb': { commits: 1, blobs: 40, blobBytes: MB / 2, references: 0 },
  '250mb': { commits: 1, blobs: 500, blobBytes: MB / 2, references: 0 },
  '1gb': { commits: 1, blobs: 250, blobBytes: 4 * MB, references: 0 },
  '2gb': { commits: 1, blobs: 500, blobBytes: 4 * MB, references: 0 },
} as const satisfies Record<string, Recipe>;

interface Recipe {
  readonly commits: number;
  readonly merges?: boolean;
  /** Number of files with 1 KiB of text. */
  readonly files?: number;
  /** Number of large incompressible blobs. */
  readonly blobs: number;
  readonly blobBytes: number;
  /** Number of branches in addition to `main`, all packed. */
  readonly references: number;
}

export type RepositoryName = keyof typeof RECIPES;

/**
 * Returns the path of a bare repository, which is built if it is not in the cache. Read it only;
 * work on a copy.
 */
export async function cachedRepository(name: RepositoryName): Promise<string> {
  const path = join(CACHE, `${name}-v${VERSION}.git`);
  if (existsSync(path)) return path;
  const draft = `${path}.draft-${process.pid}`;
  try {
    mkdirSync(CACHE, { recursive: true });
    await runProgram('git', ['init', '--quiet', '--bare', '--initial-branch=main', draft]);
    const settings = [
      '-c',
      'core.compression=0',
      '-c',
      'pack.compression=0',
      '-c',
      'fastimport.unpackLimit=0',
    ];
    await git(draft, [...settings, 'fast-import', '--quiet'], { input: importStream(RECIPES[name]) });
    await git(draft, ['pack-refs', '--all']);
    if (RECIPES[name].blobs === 0) await git(draft, ['repack', '-adq']);
    if ('merges' in RECIPES[name]) await git(draft, ['commit-graph', 'write', '--reachable']);
    renameSync(draft, path);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return path;
}

/**
 * Copies a cached repository and shares its files. git replaces files and never changes them, so
 * the copies are independent.
 */
export async function copyRepository(name: RepositoryName, destination: string): Promise<void> {
  await runProgram('cp', ['-al', await cachedRepository(name), destination]);
}

async function* importStream(recipe: Recipe): AsyncGenerator<Uint8Array | string> {
  const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16, 2));
  for (let index = 0; index < recipe.commits; index++) {
    const place = recipe.merges === true && index >= MERGE_EVERY ? index % MERGE_EVERY : 0;
    const branch = place === MERGE_EVERY - 2 ? 'side' : 'main';
    yield `commit refs/heads/${branch}\nmark :${index + 1}\n` +
      `committer Bench <bench@example.com> ${1_700_000_000 + index} +0000\n`;
    yield data(`change ${index}\n\nThe body of a commit message.\n`);
    if (branch === 'side') yield `from :${index - 1}\n`;
    if (place === MERGE_EVERY - 1) yield `from :${index - 1}\nmerge :${index}\n`;
    if (index === 0) {
      yield `M 100644 inline four-kilobytes\n${data('x'.repeat(4096))}`;
      for (let file = 0; file < (recipe.files ?? 0); file++) {
        yield `M 100644 inline files/${Math.floor(file / FILES_PER_DIRECTORY)}/${file}\n` +
          `${data(textOf(file))}`;
      }
      for (let blob = 0; blob < recipe.blobs; blob++) {
        yield `M 100644 inline large/${blob}\ndata ${recipe.blobBytes}\n`;
        yield noise.update(Buffer.alloc(recipe.blobBytes));
        yield '\n';
      }
    }
    if (place === MERGE_EVERY - 1) yield changeOf(index - 1);
    yield changeOf(index);
  }
  for (let index = 0; index < recipe.references; index++) {
    yield `reset refs/heads/branch-${String(index).padStart(6, '0')}\nfrom :1\n`;
  }
}

function changeOf(index: number): string {
  return `M 100644 inline directory/file-${index % 20}\n${data(`content ${index}\n`)}`;
}

/** Returns about 1 KiB of text, different for every file, with common lines. */
function textOf(file: number): string {
  const lines = Array.from(
    { length: 32 },
    (_, line) => `line ${(file * 31 + line * line) % 997} of a file of text\n`,
  );
  return `file ${file}\n${lines.join('')}`;
}

function data(text: string): string {
  return `data ${Buffer.byteLength(text)}\n${text}\n`;
}

export interface StoredRepository {
  readonly path: string;
  /** The repository as named in requests. */
  readonly wire: {
    readonly storageName: string;
    readonly relativePath: string;
    readonly glRepository: string;
  };
}
