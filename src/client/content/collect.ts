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
 * Puts the messages of a stream together into what they are about: `for await (const blob of collect.blobs(connection.blob.getBlobs(…)))`.
 * Nothing is read ahead of the loop; leaving it cancels the call; errors of the call are thrown by the loop. Data comes as `Buffer`.
 */
export const collect = Object.freeze({
  /** Of GetBlobs, ListBlobs, ListAllBlobs. */
  blobs,
  /** Of CommitDiff. */
  diffs,
  /** Of DiffBlobs. */
  blobDiffs,
  /** Of ListConflictFiles. */
  conflictFiles,
  /** Of GetCommitMessages. */
  commitMessages,
  /** Of GetCommitSignatures. */
  commitSignatures,
  /** Of GetTagMessages. */
  tagMessages,
  /** Of GetTagSignatures. */
  tagSignatures,
  /** Of FindLocalBranches, from servers of any release. */
  localBranches,
  /** Of SearchFilesByContent. */
  searchMatches,
  /** Of WikiGetAllPages. */
  wikiPages,
  /** Of any stream of lists: `collect.items(connection.commit.listCommits(…), ({ commits }) => commits)`. */
  items: eachItem,
  /** Of any stream of bytes: `collect.bytes(connection.commit.rawBlame(…), ({ data }) => data)`. */
  bytes: wholeBytes,
});
