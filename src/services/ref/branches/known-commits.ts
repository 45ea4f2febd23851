import { BriefMemory } from '#base/memory/brief-memory';
import type { Repository } from '#storage/repository';
import type { EncodedCommit } from './encode-branches.ts';

const MAX_BYTES = 16 << 20;
/** Limit of one repository: some 5,000 branches. */
const MAX_REPOSITORY_BYTES = 4 << 20;
const MAX_AGE_MS = 60_000;
/** Memory that a commit takes in addition to its bytes. */
const ENTRY_BYTES = 400;

interface Known {
  readonly commits: ReadonlyMap<string, EncodedCommit>;
  readonly bytes: number;
}

/**
 * The encoded commits of branches, for a minute, by repository. A list after a write has nearly
 * the same ones as before it, and they never change.
 */
export class KnownCommits {
  readonly #memory = new BriefMemory<Known>({
    maxBytes: MAX_BYTES,
    maxValueBytes: MAX_REPOSITORY_BYTES,
    maxAgeMs: MAX_AGE_MS,
    sizeOf: ({ bytes }) => bytes,
  });

  /** Returns the known commits of a repository; `undefined` if there are none. */
  of({ path }: Repository): ReadonlyMap<string, EncodedCommit> | undefined {
    return this.#memory.get(path)?.commits;
  }

  /** Adds commits. If there are too many then, all are forgotten: the next list brings its own. */
  add({ path }: Repository, commits: ReadonlyMap<string, EncodedCommit>): void {
    if (commits.size === 0) return;
    const all = new Map([...(this.#memory.get(path)?.commits ?? []), ...commits]);
    const bytes = bytesOf(all);
    if (bytes > MAX_REPOSITORY_BYTES) this.#memory.delete(path);
    else this.#memory.set(path, { commits: all, bytes });
  }
}

function bytesOf(commits: ReadonlyMap<string, EncodedCommit>): number {
  let bytes = 0;
  for (const { old, target } of commits.values()) bytes += ENTRY_BYTES + target.length + (old?.length ?? 0);
  return bytes;
}
