import { blobs } from './collect/blobs.ts';
import { conflictFiles } from './collect/conflict-files.ts';
import { blobDiffs, diffs } from './collect/diffs.ts';
import { eachItem } from './collect/each-item.ts';
import { localBranches } from './collect/local-branches.ts';
import { commitMessages, commitSignatures, tagMessages, tagSignatures } from './collect/messages.ts';
import { searchMatches } from './collect/search-matches.ts';
import { wholeBytes } from './collect/whole-bytes.ts';
import { wikiPages } from './collect/wiki-pages.ts';

/**
 * Joins the messages of a stream into whole objects: `for await (const blob of
 * collect.blobs(connection.blob.getBlobs(…)))`. Nothing is read ahead of the loop. Leaving the loop
 * cancels the call. The loop throws the errors of the call. Data is a `Buffer`.
 */
export const collect = Object.freeze({
  /** For GetBlobs, ListBlobs, ListAllBlobs. */
  blobs,
  /** For CommitDiff. */
  diffs,
  /** For DiffBlobs. */
  blobDiffs,
  /** For ListConflictFiles. */
  conflictFiles,
  /** For GetCommitMessages. */
  commitMessages,
  /** For GetCommitSignatures. */
  commitSignatures,
  /** For GetTagMessages. */
  tagMessages,
  /** For GetTagSignatures. */
  tagSignatures,
  /** For FindLocalBranches, from servers of any release. */
  localBranches,
  /** For SearchFilesByContent. */
  searchMatches,
  /** For WikiGetAllPages. */
  wikiPages,
  /**
   * For any stream of lists: `collect.items(connection.commit.listCommits(…), ({ commits }) =>
   * commits)`.
   */
  items: eachItem,
  /**
   * For any stream of bytes: `collect.bytes(connection.commit.rawBlame(…), ({ data }) => data)`.
   */
  bytes: wholeBytes,
});
