import type { GetCommitMessagesResponse, GetCommitSignaturesResponse } from '#wire/gen/commit_pb';
import type {
  GetTagMessagesResponse,
  GetTagSignaturesResponse,
  GetTagSignaturesResponse_TagSignature,
} from '#wire/gen/ref_pb';
import { collectPieces } from './collect-pieces.ts';
import { eachItem } from './each-item.ts';

/** A message with some fields as joined buffers. */
type With<Message, Fields extends string> = Omit<Message, Fields> & { readonly [F in Fields]: Buffer };

/** Yields the messages of GetCommitMessages, by `commitId`. */
export function commitMessages(
  responses: AsyncIterable<GetCommitMessagesResponse>,
): AsyncGenerator<With<GetCommitMessagesResponse, 'message'>, void, undefined> {
  return collectPieces(responses, {
    begins: ({ commitId }) => commitId !== '',
    bytesOf: ({ message }) => [message],
    whole: (first, message = EMPTY) => ({ ...first, message }),
  });
}

/**
 * Yields the signatures of GetCommitSignatures, by `commitId`. Commits without a signature are
 * omitted.
 */
export function commitSignatures(
  responses: AsyncIterable<GetCommitSignaturesResponse>,
): AsyncGenerator<With<GetCommitSignaturesResponse, 'signature' | 'signedText'>, void, undefined> {
  return collectPieces(responses, {
    begins: ({ commitId }) => commitId !== '',
    bytesOf: ({ signature, signedText }) => [signature, signedText],
    whole: (first, signature = EMPTY, signedText = EMPTY) => ({ ...first, signature, signedText }),
  });
}

/** Yields the messages of GetTagMessages, by `tagId`. */
export function tagMessages(
  responses: AsyncIterable<GetTagMessagesResponse>,
): AsyncGenerator<With<GetTagMessagesResponse, 'message'>, void, undefined> {
  return collectPieces(responses, {
    begins: ({ tagId }) => tagId !== '',
    bytesOf: ({ message }) => [message],
    whole: (first, message = EMPTY) => ({ ...first, message }),
  });
}

/** Yields the signatures of GetTagSignatures, by `tagId`. */
export function tagSignatures(
  responses: AsyncIterable<GetTagSignaturesResponse>,
): AsyncGenerator<With<GetTagSignaturesResponse_TagSignature, 'signature' | 'content'>, void, undefined> {
  return collectPieces(
    eachItem(responses, ({ signatures }) => signatures),
    {
      begins: ({ tagId }) => tagId !== '',
      bytesOf: ({ signature, content }) => [signature, content],
      whole: (first, signature = EMPTY, content = EMPTY) => ({ ...first, signature, content }),
    },
  );
}

const EMPTY = Buffer.alloc(0);
