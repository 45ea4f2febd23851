import { BoundedMap } from '#base/bounded-map';
import { fileStamp } from '#base/files/file-stamp';
import type { GitDirectory } from '../command/git-directory.ts';
import { CommitGraph } from './commit-graph.ts';
import {
  CommitGraphDamage,
  commitGraphChain,
  commitGraphFile,
  readCommitGraph,
} from './read-commit-graph.ts';

/** Limit of one graph: some 500,000 commits. git walks larger histories. */
const MAX_GRAPH_BYTES = 32 * 1024 * 1024;
/** Limit of all graphs together. */
const MAX_BYTES = 64 * 1024 * 1024;
/**
 * Limit of object directories with a cached result, including those without a graph; an entry is
 * some 300 bytes.
 */
const MAX_DIRECTORIES = 5000;
/**
 * Interval of checks: a graph older than the file lacks the latest commits but is nevertheless
 * correct.
 */
const CHECK_EVERY_MS = 1000;

interface Kept {
  stamp: string;
  checkedAtMs: number;
  isLoading: boolean;
  graph: CommitGraph | undefined;
  isDamaged: boolean;
}

/** Commit-graphs by object directory. */
export class CommitGraphCache {
  readonly #kept = new BoundedMap<string, Kept>({
    maxEntries: MAX_DIRECTORIES,
    maxWeight: MAX_BYTES,
    weigh: ({ graph }) => graph?.byteLength ?? 0,
  });
  readonly #checkEveryMs: number;

  constructor({ checkEveryMs = CHECK_EVERY_MS }: { readonly checkEveryMs?: number } = {}) {
    this.#checkEveryMs = checkEveryMs;
  }

  /**
   * Returns the graph of a repository as it was last read, or `undefined` without waiting for a
   * read and the check of its checksum. Commits never change, so its contents are correct for
   * existing commits however old it is.
   */
  of({ objectDirectory, alternateObjectDirectories }: GitDirectory): CommitGraph | undefined {
    for (const directory of [objectDirectory, ...alternateObjectDirectories]) {
      const { graph } = this.#at(directory);
      if (graph !== undefined) return graph;
    }
    return undefined;
  }

  /**
   * Reports whether a graph of the repository was found to be damaged, without waiting for the
   * check: git would trust it.
   */
  hasDamage({ objectDirectory, alternateObjectDirectories }: GitDirectory): boolean {
    return [objectDirectory, ...alternateObjectDirectories].some(
      (directory) => this.#at(directory).isDamaged,
    );
  }

  forget({ path }: GitDirectory): void {
    this.#kept.delete(`${path}/objects`);
  }

  #at(directory: string): Kept {
    const kept = this.#kept.get(directory) ?? this.#add(directory);
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
    // Whatever the error of the file is, git works without it, and so does this code. It is read
    // again when it changes.
    const read = await readCommitGraph(directory, MAX_GRAPH_BYTES).catch((error: unknown) => error);
    const graph = read instanceof CommitGraph ? read : undefined;
    kept.isDamaged = read instanceof CommitGraphDamage;
    kept.isLoading = false;
    kept.stamp = stamp;
    if (this.#kept.peek(directory) !== kept) return;
    kept.graph = graph;
    this.#kept.set(directory, kept); // updates the weight
  }

  #add(directory: string): Kept {
    const kept: Kept = {
      stamp: '',
      checkedAtMs: Number.NEGATIVE_INFINITY,
      isLoading: false,
      graph: undefined,
      isDamaged: false,
    };
    this.#kept.set(directory, kept);
    return kept;
  }
}
