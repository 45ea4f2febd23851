import { attempt } from '#base/attempt';
import { type FileStamp, fileStamp, NO_FILE } from '#base/files/file-stamp';
import { BoundedMap } from '#base/memory/bounded-map';
import {
  alternatesFileOf,
  readableAlternatesOf,
  withAlternates,
} from '#git/repository-files/alternates-file';
import { type GitDirectory, isQuarantined } from '#git/repository-files/git-directory';
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
  /** Object directories in `info/alternates`: git reads their graphs, too. */
  alternates: readonly string[];
  alternatesStamp: FileStamp;
}

/** Commit-graphs by object directory, including those of object pools. */
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
  of(repository: GitDirectory): CommitGraph | undefined {
    for (const directory of this.#directoriesOf(repository)) {
      const { graph } = this.#at(directory);
      if (graph !== undefined) return graph;
    }
    return undefined;
  }

  /**
   * Reports whether a graph of the repository was found to be damaged, without waiting for the
   * check: git would trust it.
   */
  hasDamage(repository: GitDirectory): boolean {
    return this.#directoriesOf(repository).some((directory) => this.#at(directory).isDamaged);
  }

  forget({ path }: GitDirectory): void {
    this.#kept.delete(`${path}/objects`);
  }

  #directoriesOf(repository: GitDirectory): string[] {
    const { alternateObjectDirectories, objectDirectory } = repository;
    // A quarantine has no commit-graph.
    const own = isQuarantined(repository) ? [] : [objectDirectory];
    return this.#withAlternates([...own, ...alternateObjectDirectories]);
  }

  #withAlternates(directories: readonly string[]): string[] {
    return withAlternates(directories, (directory) => this.#at(directory).alternates);
  }

  #at(directory: string): Kept {
    const kept = this.#kept.get(directory) ?? this.#add(directory);
    const now = performance.now();
    if (now - kept.checkedAtMs >= this.#checkEveryMs && !kept.isLoading) {
      kept.checkedAtMs = now;
      const alternatesStamp = readableStamp(alternatesFileOf(directory));
      if (alternatesStamp !== kept.alternatesStamp) kept.alternates = readableAlternatesOf(directory);
      kept.alternatesStamp = alternatesStamp;
      const stamp =
        readableStamp(commitGraphFile(directory)) +
        readableStamp(commitGraphChain(directory)) +
        alternatesStamp;
      if (stamp !== kept.stamp) void this.#load(directory, kept, stamp);
    }
    return kept;
  }

  async #load(directory: string, kept: Kept, stamp: string): Promise<void> {
    kept.isLoading = true;
    // git works without an unreadable file, and so does this code. The file is read again when it
    // changes.
    const directories = this.#withAlternates([directory]);
    const read = await readCommitGraph(directories, MAX_GRAPH_BYTES).catch((error: unknown) => error);
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
      alternates: [],
      alternatesStamp: NO_FILE,
    };
    this.#kept.set(directory, kept);
    return kept;
  }
}

/** Alternates may name any path. git reports unreadable ones. */
function readableStamp(file: string): FileStamp {
  // On failure: no permission, or no path
  return attempt(() => fileStamp(file)) ?? NO_FILE;
}
