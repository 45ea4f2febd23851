import { create, type DescMessage, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import { BriefMemory } from '#base/memory/brief-memory';
import { RecentKeys } from '#base/memory/recent-keys';
import type { RefWatch } from '#git/refs/resolve/ref-watch';
import { type ReadyResponses, readyMessage, readyResponses } from '#rpc/common/grpc/ready-responses';
import type { CallLog } from '#rpc/server/handler';
import { requestBytes } from '#services/convert/request/request-bytes';
import type { Repository } from '#storage/repository';
import { encodeMessage } from '#wire/fast/encode-message';

interface Remembered {
  readonly watch: RefWatch;
  readonly parts: readonly ReadyResponses[];
}

export interface ListCall<I extends DescMessage, O extends DescMessage> {
  readonly repository: Repository;
  readonly input: I;
  readonly output: O;
  readonly request: MessageShape<I>;
  /** Facts in addition to the request that change the response, such as a feature flag. */
  readonly variant?: string;
  readonly log: CallLog;
  readonly produce: () => AsyncIterable<MessageInitShape<O>>;
}

const MAX_BYTES = 16 << 20;
/** Limit of one response: some 5,000 branches with their commits. */
const MAX_ANSWER_BYTES = 2 << 20;
const MAX_AGE_MS = 60_000;
/**
 * An answer up to this size takes little work. A backup asks for one of each repository, once: all
 * of them took 12 MB for 10,000 repositories, a KB each.
 */
const SHORT_ANSWER_BYTES = 4096;
const MAX_REQUEST_BYTES = 4096;
/**
 * Messages are sent in pieces of about this size, so that not all of them are held for a slow
 * reader.
 */
const PIECE_BYTES = 256 * 1024;

/**
 * Answers to calls that list references, for a minute, and while the files that the references are
 * kept in are unchanged. Everything else in the answers is read from objects, which never change.
 * Short ones are kept when they are asked for again within a minute.
 */
export class RememberedLists {
  readonly #memory = new BriefMemory<Remembered>({
    maxBytes: MAX_BYTES,
    maxValueBytes: MAX_ANSWER_BYTES,
    maxAgeMs: MAX_AGE_MS,
    sizeOf: ({ watch, parts }) => parts.reduce((sum, { frames }) => sum + frames.length, watch.bytes),
  });

  readonly #asked = new RecentKeys({ maxAgeMs: MAX_AGE_MS });

  /**
   * Yields the responses of a call: kept ones if they are still valid. A field of the call's log
   * line records this.
   */
  async *get<I extends DescMessage, O extends DescMessage>(
    call: ListCall<I, O>,
  ): AsyncGenerator<MessageInitShape<O>> {
    const key = listKey(call);
    const known = key === undefined ? undefined : this.#memory.get(key);
    const isRepeated = key !== undefined && this.#asked.note(key);
    if (known?.watch.isUnchanged()) {
      call.log.add({ 'ref_list.remembered': true });
      for (const part of known.parts) yield readyMessage(call.output, part);
      return;
    }
    if (key !== undefined) this.#memory.delete(key);
    const watch = key === undefined ? undefined : call.repository.refs.watch();
    if (key === undefined || watch === undefined) yield* call.produce();
    else yield* this.#remember({ key, watch, minBytes: isRepeated ? 0 : SHORT_ANSWER_BYTES }, call);
  }

  async *#remember<I extends DescMessage, O extends DescMessage>(
    { key, watch, minBytes }: { readonly key: string; readonly watch: RefWatch; readonly minBytes: number },
    { output, produce }: ListCall<I, O>,
  ): AsyncGenerator<MessageInitShape<O>> {
    const pieces = new Pieces();
    for await (const response of produce()) {
      if (pieces.bytes <= MAX_ANSWER_BYTES) pieces.add(encodeMessage(output, create(output, response)));
      yield response;
    }
    if (pieces.bytes >= minBytes && pieces.bytes <= MAX_ANSWER_BYTES)
      this.#memory.set(key, { watch, parts: pieces.end() });
  }
}

/** Collects encoded messages. */
class Pieces {
  bytes = 0;
  readonly #parts: ReadyResponses[] = [];
  #messages: Buffer[] = [];
  #messageBytes = 0;

  add(chunks: readonly Uint8Array[]): void {
    const message = Buffer.concat(chunks);
    this.bytes += message.length;
    this.#messages.push(message);
    this.#messageBytes += message.length;
    if (this.#messageBytes >= PIECE_BYTES) this.#endPart();
  }

  end(): readonly ReadyResponses[] {
    if (this.#messages.length > 0) this.#endPart();
    return this.#parts;
  }

  #endPart(): void {
    this.#parts.push(readyResponses(this.#messages, { isKept: true }));
    this.#messages = [];
    this.#messageBytes = 0;
  }
}

function listKey<I extends DescMessage, O extends DescMessage>({
  repository,
  input,
  request,
  variant = '',
}: ListCall<I, O>): string | undefined {
  const bytes = requestBytes(input, request);
  if (bytes.length > MAX_REQUEST_BYTES) return undefined;
  return [repository.path, input.typeName, variant, Buffer.from(bytes).toString('latin1')].join('\0');
}
