import { type CommitDiffResponse, type DiffBlobsResponse, DiffBlobsResponse_Status } from '#wire/gen/diff_pb';
import { collectPieces } from './collect-pieces.ts';

/**
 * The change of one file with its joined patch. `overflowMarker` means that the request's limits
 * truncated the list here.
 */
export type WholeDiff = Omit<CommitDiffResponse, 'rawPatchData' | 'endOfPatch'> & { readonly patch: Buffer };

/** The difference of two blobs with its joined patch. */
export type WholeBlobDiff = Omit<DiffBlobsResponse, 'patch' | 'status'> & { readonly patch: Buffer };

/** Yields the files of CommitDiff. A patch that the server did not end is omitted. */
export function diffs(
  responses: AsyncIterable<CommitDiffResponse>,
): AsyncGenerator<WholeDiff, void, undefined> {
  return collectPieces(responses, {
    ends: ({ endOfPatch }) => endOfPatch,
    bytesOf: ({ rawPatchData }) => [rawPatchData],
    whole: ({ rawPatchData: _, endOfPatch: __, ...first }, patch) => ({ ...first, patch }),
  });
}

/** Yields the pairs of DiffBlobs, in the order of the request. */
export function blobDiffs(
  responses: AsyncIterable<DiffBlobsResponse>,
): AsyncGenerator<WholeBlobDiff, void, undefined> {
  return collectPieces(responses, {
    ends: ({ status }) => status === DiffBlobsResponse_Status.END_OF_PATCH,
    bytesOf: ({ patch }) => [patch],
    whole: ({ patch: _, status: __, ...first }, patch) => ({ ...first, patch }),
  });
}
