import { TokenBuckets } from '#base/limits/token-buckets';
import { list, number, object, optional, type Shaped, text } from '#base/shape';
import type { Logger } from '#platform/log/logger';
import type { LoopMetrics } from '#platform/metrics/loop-metrics';
import { type LoopBlock, watchLoop } from '#platform/process/loop-watch/loop-watch';
import type { ServerCall } from './server-call.ts';

/** Blocks that are remembered. */
const MAX_BLOCKS = 20;
/** Calls that are named if it is not known which of them blocked the loop. */
const MAX_CANDIDATES = 5;
/** Number of lines without a limit, and the interval in which one more is allowed. */
const LINES = { burst: 10, intervalMs: 6000 };

/** Names of a call; they are empty if they are not known. */
const callNames = object({
  /** `/gitaly.CommitService/FindCommit` */
  method: text,
  storage: text,
  repository: text,
  correlation_id: text,
});

export type CallNames = Shaped<typeof callNames>;

/** A time in which the event loop was blocked. */
export const blockStatus = object({
  /** RFC 3339; the begin. */
  time: text,
  blocked_ms: number,
  /** The call whose code blocked the loop; missing if it is unknown. */
  call: optional(callNames),
  /** Instead of `call`: some of the calls that were running. One of them may be the cause. */
  candidates: optional(list(callNames)),
  /** JavaScript functions, innermost first; empty if the stack is not known. */
  stack: list(text),
});

export type BlockStatus = Shaped<typeof blockStatus>;

export interface BlockedCallsOptions {
  readonly logger: Logger;
  readonly metrics: LoopMetrics;
  /** Returns the call in whose asynchronous context it is called. */
  readonly current: () => ServerCall | undefined;
  /** Returns the calls that are being served. */
  readonly running: () => Iterable<ServerCall>;
}

/**
 * The reason of a block: the code of a call, other JavaScript code (both are in the stack), work
 * outside of JavaScript such as garbage collection, or the machine, which let the thread wait for a
 * processor or for the disk.
 */
type BlockCause = 'call' | 'javascript' | 'native' | 'machine';

function causeOf({ blockedMs, processorMs, stack }: Facts, call: ServerCall | undefined): BlockCause {
  if (call !== undefined) return 'call';
  if (processorMs < blockedMs / 2) return 'machine';
  return stack.length > 0 ? 'javascript' : 'native';
}

type Facts = Pick<LoopBlock<Suspects>, 'blockedMs' | 'processorMs' | 'isOver' | 'stack'>;

interface Suspects {
  readonly call: ServerCall | undefined;
  readonly candidates: readonly CallNames[];
}

/** Logs, counts and remembers when the event loop was blocked, and by which call. */
export class BlockedCalls implements Disposable {
  readonly #options: BlockedCallsOptions;
  readonly #watching: Disposable;
  readonly #lines = new TokenBuckets(LINES);
  readonly #blocks: BlockStatus[] = [];
  #unlogged = 0;
  /** True from the report of a block until the end of the block. */
  #isReported = false;

  constructor(options: BlockedCallsOptions) {
    this.#options = options;
    this.#watching = watchLoop<Suspects>({
      capture: () => this.#suspects(options.current()),
      onBlocked: (block) => this.#onBlocked(block),
    });
  }

  /** The last blocks, the latest first. */
  get last(): readonly BlockStatus[] {
    return this.#blocks.toReversed();
  }

  [Symbol.dispose](): void {
    this.#watching[Symbol.dispose]();
  }

  #suspects(call: ServerCall | undefined): Suspects {
    if (call !== undefined) return { call, candidates: [] };
    const candidates: CallNames[] = [];
    for (const each of this.#options.running()) {
      if (candidates.length === MAX_CANDIDATES) break;
      candidates.push(namesOf(each));
    }
    return { call, candidates };
  }

  #onBlocked(block: LoopBlock<Suspects>): void {
    const suspects = block.captured ?? this.#suspects(undefined);
    if (!this.#isReported) this.#log(block, suspects);
    this.#isReported = !block.isOver;
    if (!block.isOver) return;
    const { name = '', service = '' } = suspects.call?.method ?? {};
    const labels = { grpc_service: service, grpc_method: name };
    this.#options.metrics.blocks.with(labels).inc();
    this.#options.metrics.seconds.with(labels).inc(block.blockedMs / 1000);
    this.#blocks.push({
      time: new Date(block.startedAtMs).toISOString(),
      blocked_ms: Math.round(block.blockedMs),
      ...(suspects.call === undefined
        ? { candidates: suspects.candidates }
        : { call: namesOf(suspects.call) }),
      stack: block.stack,
    });
    if (this.#blocks.length > MAX_BLOCKS) this.#blocks.shift();
  }

  #log(block: Facts, { call, candidates }: Suspects): void {
    const { blockedMs, isOver, processorMs, stack } = block;
    if (!this.#lines.take('')) {
      this.#unlogged++;
      return;
    }
    const { repository } = call?.targets ?? {};
    const fields = {
      blocked_ms: Math.round(blockedMs),
      processor_ms: Math.round(processorMs),
      cause: causeOf(block, call),
      ...(call === undefined
        ? { candidate_calls: candidates }
        : {
            'grpc.service': call.method.service,
            'grpc.method': call.method.name,
            'grpc.request.repoStorage': repository?.storageName,
            'grpc.request.repoPath': repository?.relativePath,
            correlation_id: call.context.correlationId,
          }),
      stack: stack.join('\n'),
      ...(this.#unlogged > 0 && { lines_left_out: this.#unlogged }),
    };
    this.#unlogged = 0;
    if (isOver) this.#options.logger.warn(fields, 'event loop was blocked');
    // The loop that writes other lines does not run.
    else this.#options.logger.logNow('warn', fields, 'event loop is blocked');
  }
}

function namesOf({ context, method, targets }: ServerCall): CallNames {
  const { repository } = targets ?? {};
  return {
    method: method.path,
    storage: repository?.storageName ?? '',
    repository: repository?.relativePath ?? '',
    correlation_id: context.correlationId,
  };
}
