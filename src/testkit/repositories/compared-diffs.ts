import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { FallBackToGit } from '#git/command/in-process';
import { diffOfTrees, rawOfTrees } from '#git/diff/in-process/diff-trees';
import { EMPTY_TREE } from '#git/names/object-id';
import { outputSync } from '../run-program-sync.ts';
import type { GitFixture } from './git-fixture.ts';
import { GIT_ENVIRONMENT } from './run-git.ts';

/** Trees before and after. */
export type ComparedTrees = readonly [string, string];

const FORMATS = {
  'raw and patch': ['--raw', '--patch', '--full-index', '--find-renames=30%'],
  numstat: ['--numstat', '-z', '--find-renames'],
  raw: ['--raw', '-z', '--find-renames'],
  'raw without renames': ['--raw', '-z', '--no-renames'],
} as const;
type Format = keyof typeof FORMATS;

export interface DiffComparison {
  readonly git: GitFixture;
  readonly path: string;
  /** Tree whose `.gitattributes` apply. */
  readonly attributes?: string;
  /** Locale of git. */
  readonly locale?: string;
}

/**
 * Compares the diffs that are made in process with those of git, in four formats. Returns how many
 * were left to git, by reason.
 */
export async function assertSameDiffs(
  comparison: DiffComparison,
  pairs: readonly ComparedTrees[],
): Promise<Map<string, number>> {
  const reasons = new Map<string, number>();
  for (const format of Object.keys(FORMATS) as Format[]) {
    // its own keys
    const expected = diffsOfGit(comparison, pairs, format);
    for (const [index, pair] of pairs.entries()) {
      const found = await diffInProcess(comparison, pair, format);
      if (typeof found === 'string') reasons.set(found, (reasons.get(found) ?? 0) + 1);
      else if (expected[index]?.equals(found) !== true)
        assert.equal(found.toString('latin1'), expected[index]?.toString('latin1'), `${format} of ${pair}`);
    }
  }
  return reasons;
}

/** Compares pairs of trees with one `git diff-tree`. */
function diffsOfGit(
  { git, path, attributes, locale }: DiffComparison,
  pairs: readonly ComparedTrees[],
  format: Format,
): Buffer[] {
  const config: string[] = [];
  const file = `${path}/attributes-of-${process.pid}`;
  if (attributes !== undefined && git.git.capabilities.attrTree) config.push('-c', `attr.tree=${attributes}`);
  // The server passes attributes to older versions only for these formats.
  else if (attributes !== undefined && (format === 'raw and patch' || format === 'numstat')) {
    writeFileSync(file, run(path, ['cat-file', 'blob', `${attributes}:.gitattributes`]));
    config.push('-c', `core.attributesFile=${file}`);
  }
  const args = [...config, 'diff-tree', '-r', '--stdin', '--no-abbrev', ...FORMATS[format]];
  const input = pairs.map(([before, after], index) => `${before} ${after}\n=end ${index}\n`).join('');
  const output = run(path, args, input, locale);
  rmSync(file, { force: true });
  let at = 0;
  return pairs.map(([before, after], index) => {
    const head = `${before} ${after}\n`;
    if (output.toString('latin1', at, at + head.length) === head) at += head.length;
    const end = output.indexOf(`=end ${index}\n`, at);
    const diff = output.subarray(at, end);
    at = end + `=end ${index}\n`.length;
    return diff;
  });
}

/** Compares two trees in process; the reason if that is left to git. */
async function diffInProcess(
  { git, path, attributes }: DiffComparison,
  [before, after]: ComparedTrees,
  format: Format,
): Promise<Buffer | string> {
  const repository = git.open(path);
  const trees = { before, after, attributes: attributes ?? EMPTY_TREE[repository.objectFormat] };
  const { signal } = new AbortController();
  try {
    if (format === 'raw' || format === 'raw without renames')
      return await rawOfTrees(repository, trees, {
        renames: format === 'raw' ? { minimum: 50, attributes: trees.attributes } : undefined,
        signal,
      });
    return await diffOfTrees(repository, trees, { format, signal });
  } catch (error) {
    if (!(error instanceof FallBackToGit)) throw error;
    return error.message;
  }
}

/** Writes versions of a directory as a series of commits on `main`. Returns their trees. */
export function writeVersions(
  path: string,
  versions: readonly Readonly<Record<string, string | Buffer>>[],
): string[] {
  const stream = versions.flatMap((files) => [
    Buffer.from('commit refs/heads/main\ncommitter a <a@x> 1 +0000\ndata 0\ndeleteall\n'),
    ...Object.entries(files).flatMap(([name, text]) => [
      Buffer.from(`M 100644 inline ${name}\ndata ${Buffer.byteLength(text)}\n`),
      typeof text === 'string' ? Buffer.from(text) : text,
      Buffer.from('\n'),
    ]),
  ]);
  return importTrees(path, Buffer.concat(stream), 'main');
}

/** Imports a stream. Returns the trees of the commits of a branch, in order. */
export function importTrees(path: string, stream: Buffer, branch: string): string[] {
  run(path, ['fast-import', '--quiet', '--force'], stream);
  return run(path, ['log', '--reverse', '--format=%T', branch]).toString().trim().split('\n');
}

function run(cwd: string, args: readonly string[], input: string | Buffer = '', locale?: string): Buffer {
  const env = { ...GIT_ENVIRONMENT, ...(locale !== undefined && { LC_ALL: locale }) };
  return outputSync('git', args, { cwd, env, input: Buffer.from(input) });
}
