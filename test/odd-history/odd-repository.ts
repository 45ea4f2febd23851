import { join } from 'node:path';
import { addEveryOddity, type EveryOddity, ODD_STATES } from '#testkit/repositories/generated/every-oddity';
import { gitBytesSync } from '#testkit/repositories/git-bytes-sync';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { seededShare } from '#testkit/seeded-share';
import { splitAt } from '../differential/ask-git.ts';
import type { OddTarget } from './rpc-requests.ts';

/** A repository with every oddity, and what git finds in it. */
export interface OddRepository extends EveryOddity {
  /** Absolute. */
  readonly path: string;
  readonly relativePath: string;
}

/** Share of the other states that `make test` tries; the soak tries all. */
const SHARE = 1 / 3;
export const STATES: readonly string[] = [
  'all references loose',
  ...seededShare(Object.keys(ODD_STATES), SHARE),
];

/** Creates a repository with every oddity in a storage, in one of the {@link STATES}. */
export function makeOddRepository(storage: string, state: string): OddRepository {
  const relativePath = `${state.replaceAll(' ', '-')}.git`;
  const path = join(storage, relativePath);
  initRepository(path);
  const made = addEveryOddity(path);
  gitOutput(path, ['config', 'gitlab.fullpath', 'group/odd']);
  ODD_STATES[state]?.(path, made);
  return { ...made, path, relativePath };
}

/** Returns git's output, without replace references, as the server runs it. */
export function gitBytes(path: string, args: readonly string[]): Buffer {
  return gitBytesSync(path, ['-c', 'core.useReplaceRefs=false', ...args]);
}

/** Returns the lines of git's output, or its parts with another end. */
export function gitItems(path: string, args: readonly string[], end = 0x0a): Buffer[] {
  return splitAt(gitBytes(path, args), end);
}

/** Returns what requests name. */
export function targetOf({ blobs, commits, path, relativePath, tags, trees }: OddRepository): OddTarget {
  return {
    relativePath,
    commits: [...commits.values()],
    trees: [...trees.values()],
    blobs: Object.values(blobs),
    tags: [...tags.values()],
    refs: gitItems(path, ['for-each-ref', '--format=%(refname)']),
    files: [...trees.keys()].flatMap((name) => {
      const commit = commits.get(`tree-${name}`) ?? '';
      const paths = gitItems(path, ['ls-tree', '-z', '-t', '-r', '--name-only', commit], 0);
      return paths.map((each) => ({ commit, path: each }));
    }),
  };
}
