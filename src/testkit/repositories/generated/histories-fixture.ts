import { rmSync } from 'node:fs';
import { after } from 'node:test';
import { InProcess } from '#git/command/in-process';
import { fc } from '#testkit/fast-check';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { GitFixture } from '../git-fixture.ts';

export interface Histories {
  readonly git: GitFixture;
  /** A directory for repositories. */
  readonly root: string;
  /**
   * Names of questions that were answered in process; if git had to answer, they end in ` by git:
   * REASON`.
   */
  readonly answered: string[];
}

/** Starts a git for the tests of a file, and ends it after them. Call it at the top of the file. */
export async function startHistories(name: string): Promise<Histories> {
  const root = makeScratchDirectory(name);
  const answered: string[] = [];
  const inProcess = new InProcess({
    observer: {
      onAnswered: (what) => void answered.push(what),
      onFellBack: (what, reason) => void answered.push(`${what} by git: ${reason}`),
    },
  });
  const git = await GitFixture.start({ inProcess });
  after(async () => {
    await git.close();
    rmSync(root, { recursive: true });
  });
  return { git, root, answered };
}

/** Properties of a random selection of commits in a history of `count` commits, for `fc.record`. */
export function randomSelection(count: number) {
  const name = fc.integer({ min: 1, max: count }).map((mark) => `c${mark}`);
  const revision = fc.oneof(
    name,
    name.map((each) => `^${each}`),
    fc.tuple(name, name).map((names) => names.join('..')),
  );
  return {
    revisions: fc.array(revision, { minLength: 1, maxLength: 4 }),
    firstParent: fc.boolean(),
    skip: fc.nat(3),
    maxCount: fc.option(fc.nat(count), { nil: undefined }),
    maxParents: fc.nat(2),
    reverse: fc.boolean(),
  };
}
