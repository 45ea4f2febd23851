import { piecesOfPatch } from '#git/diff/parse/patch-pieces';

/** Most bytes of a patch in one message. @see Gitaly: internal/gitaly/service/diff */
const MAX_PATCH_PIECE_BYTES = 5 * 1024;

/** One message of a patch that is sent in pieces. */
export interface PatchMessage {
  readonly patch: Uint8Array;
  /** This message has the other fields as well. */
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

const NOTHING = new Uint8Array(0);

/**
 * Cuts a patch into messages, at least one. The bytes are views of the pieces wherever that can be.
 */
export function* patchMessages(pieces: readonly Buffer[]): Generator<PatchMessage> {
  let held: Uint8Array | undefined;
  let isFirst = true;
  for (const patch of piecesOfPatch(pieces, MAX_PATCH_PIECE_BYTES)) {
    if (held !== undefined) {
      yield { patch: held, isFirst, isLast: false };
      isFirst = false;
    }
    held = patch;
  }
  yield { patch: held ?? NOTHING, isFirst, isLast: true };
}
