import { ConnectionError } from './connection-error.ts';
import { Flag, type Frame, FrameType } from './frame.ts';

/** Limit of CONTINUATION frames of one block, as in nghttp2. */
const MAX_CONTINUATIONS = 8;
/** Length of the fields for weight and dependency, which are obsolete. */
const PRIORITY_BYTES = 5;

/** A block of headers that has arrived as a whole. */
export interface IncomingBlock {
  readonly streamId: number;
  readonly isEnd: boolean;
  readonly block: Buffer;
}

/** Joins the frames of one block of headers. Between them no other frame may arrive. */
export class IncomingBlocks {
  readonly #maxBlockBytes: number;
  #begun: { readonly streamId: number; readonly isEnd: boolean; readonly parts: Buffer[] } | undefined;

  constructor(maxBlockBytes: number) {
    this.#maxBlockBytes = maxBlockBytes;
  }

  /**
   * Checks each frame before it is used.
   *
   * @throws {ConnectionError} for another frame between those of a block, or a continuation without
   *   a beginning.
   */
  checkOrder({ streamId, type }: Frame): void {
    const isPart = type === FrameType.CONTINUATION;
    if (isPart !== (this.#begun !== undefined) || (isPart && streamId !== this.#begun?.streamId))
      throw new ConnectionError('PROTOCOL_ERROR', 'the frames of a block of headers are not in order');
  }

  /** Adds a frame with headers. Returns the block if it is complete. */
  add(frame: Frame): IncomingBlock | undefined {
    const { flags, streamId } = frame;
    this.#begun ??= { streamId, isEnd: (flags & Flag.END_STREAM) !== 0, parts: [] };
    const { isEnd, parts } = this.#begun;
    parts.push(frame.type === FrameType.HEADERS ? fragment(frame) : frame.payload);
    const isComplete = (flags & Flag.END_HEADERS) !== 0;
    const [only] = parts;
    if (isComplete && parts.length === 1 && only !== undefined) {
      this.#begun = undefined;
      return { streamId, isEnd, block: only };
    }
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (bytes > this.#maxBlockBytes || parts.length > 1 + MAX_CONTINUATIONS)
      throw new ConnectionError('ENHANCE_YOUR_CALM', 'a block of headers is too large');
    if (!isComplete) return undefined;
    this.#begun = undefined;
    return { streamId, isEnd, block: Buffer.concat(parts) };
  }
}

function fragment(frame: Frame): Buffer {
  const content = withoutPadding(frame);
  if ((frame.flags & Flag.PRIORITY) === 0) return content;
  if (content.length < PRIORITY_BYTES) throw new ConnectionError('FRAME_SIZE_ERROR', 'headers are cut off');
  return content.subarray(PRIORITY_BYTES);
}

/** Returns the contents of a frame that may have padding. */
export function withoutPadding({ flags, payload }: Frame): Buffer {
  if ((flags & Flag.PADDED) === 0) return payload;
  const padding = payload[0];
  if (padding === undefined || padding >= payload.length)
    throw new ConnectionError('PROTOCOL_ERROR', 'padding is longer than its frame');
  return payload.subarray(1, payload.length - padding);
}
