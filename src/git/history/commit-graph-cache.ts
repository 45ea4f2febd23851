import type { GitRepository } from '../repository.ts';
import { fileStamp } from '../repository-stamp.ts';
import type { CommitGraph } from './commit-graph.ts';
import { commitGraphChain, commitGraphFile, readCommitGraph } from './read-commit-graph.ts';

/** One graph: some 500,000 commits. The walks of a larger history are left to git. */
const MAX_GRAPH_BYTES = 32 * 1024 * 1024;
/** All graphs together. */
const MAX_BYTES = 64 * 1024 * 1024;
/** Object directories of which something is known, if only that they have no graph; an entry is some 300 bytes. */
const MAX_DIRECTORIES = 5000;
/** A graph that is older than the file lacks the latest commits and is right all the same. */
const CHECK_EVERY_MS = 1000;

interface Kept {
  stamp: string;
  checkedAtMs: number;
  isLoading: boolean;
  graph: CommitGraph | undefined;
}

/** Commit-graphs by object directory. */
export class CommitGraphCache {
  /** In order of use, the least recently used first. */
  readonly #kept = new Map<string, Kept>();
  readonly #checkEveryMs: number;
  #bytes = 0;

  constructor({ checkEveryMs = CHECK_EVERY_MS }: { readonly checkEveryMs?: number } = {}) {
    this.#checkEveryMs = checkEveryMs;
  }

  /**
   * The graph of a repository, as it was read last: nobody waits for it, who comes before it is read does without. Commits never change, so what
   * it says of those that the repository has holds however old it is.
   */
  of({ objectDirectory, alternateObjectDirectories }: GitRepository): CommitGraph | undefined {
    for (const directory of [objectDirectory, ...alternateObjectDirectories]) {
      const { graph } = this.#at(directory);
      if (graph !== undefined) return graph;
    }
    return undefined;
  }

  forget({ path }: GitRepository): void {
    this.#drop(`${path}/objects`);
  }

  #at(directory: string): Kept {
    const kept = this.#kept.get(directory) ?? {
      stamp: '',
      checkedAtMs: Number.NEGATIVE_INFINITY,
      isLoading: false,
      graph: undefined,
    };
    // Last in the map is last used.
    this.#kept.delete(directory);
    this.#kept.set(directory, kept);
    if (this.#kept.size > MAX_DIRECTORIES) this.#dropOldest();
    const now = performance.now();
    if (now - kept.checkedAtMs >= this.#checkEveryMs && !kept.isLoading) {
      kept.checkedAtMs = now;
      const stamp = fileStamp(commitGraphFile(directory)) + fileStamp(commitGraphChain(directory));
      if (stamp !== kept.stamp) void this.#load(directory, kept, stamp);
    }
    return kept;
  }

  async #load(directory: string, kept: Kept, stamp: string): Promise<void> {
    kept.isLoading = true;
    // Whatever is wrong with the file, git works without it, and so do we. It is looked at again when it changes.
    const graph = await readCommitGraph(directory, MAX_GRAPH_BYTES).catch(() => undefined);
    kept.isLoading = false;
    kept.stamp = stamp;
    if (this.#kept.get(directory) !== kept) return;
    this.#bytes += (graph?.byteLength ?? 0) - (kept.graph?.byteLength ?? 0);
    kept.graph = graph;
    while (this.#bytes > MAX_BYTES) this.#dropOldest();
  }

  #dropOldest(): void {
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined) this.#drop(oldest);
  }

  #drop(directory: string): void {
    this.#bytes -= this.#kept.get(directory)?.graph?.byteLength ?? 0;
    this.#kept.delete(directory);
  }
}
