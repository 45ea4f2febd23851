import type {
  GetBlobsResponse,
  ListAllBlobsResponse,
  ListAllBlobsResponse_Blob,
  ListBlobsResponse,
  ListBlobsResponse_Blob,
} from '#wire/gen/blob_pb';
import { collectPieces } from './collect-pieces.ts';
import { eachItem } from './each-item.ts';

/** A blob with its joined data; the other fields are those of its first piece. */
export type WholeBlob<Piece> = Omit<Piece, 'data'> & { readonly data: Buffer };

type Piece = GetBlobsResponse | ListBlobsResponse_Blob | ListAllBlobsResponse_Blob;
type Response = GetBlobsResponse | ListBlobsResponse | ListAllBlobsResponse;
type PieceOf<R extends Response> = R extends { readonly blobs: (infer B extends Piece)[] }
  ? B
  : R extends Piece
    ? R
    : never;

/**
 * Yields the blobs of GetBlobs, ListBlobs and ListAllBlobs. One is in memory at a time, as large as
 * the request's limit allows. Missing paths of GetBlobs are omitted.
 */
export function blobs<R extends Response>(
  responses: AsyncIterable<R>,
): AsyncGenerator<WholeBlob<PieceOf<R>>, void, undefined> {
  return collectPieces(eachItem(responses, piecesOf), {
    begins: ({ oid }) => oid !== '',
    isEmpty: ({ oid, data }) => oid === '' && data.byteLength === 0,
    bytesOf: ({ data }) => [data],
    // `piecesOf` returns pieces of the response's type
    whole: (first, data) => ({ ...first, data }) as WholeBlob<PieceOf<R>>,
  });
}

function piecesOf(response: Response): readonly Piece[] {
  return 'blobs' in response ? response.blobs : [response];
}
