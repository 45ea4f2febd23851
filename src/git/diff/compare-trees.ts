import { noteBulkBytes } from '#base/memory/bulk-memory';
import type { ByteStream } from '#base/streams/byte-stream';
import { MAX_DIFF_CPU_SECONDS } from '../command/allowed.ts';
import { abortError } from '../command/process/exit-error.ts';
import type { GitProcess } from '../command/process/git-process.ts';
import type { GitRepository } from '../repository.ts';
import type { TreePair } from './diff-outputs.ts';

/** Limit of uses, because git keeps all trees that it has read in memory. */
const MAX_USES = 100;

const uses = new WeakMap<GitProcess, number>();

/**
 * Yields the output of `git diff-tree` for two trees, from a waiting process.
 *
 * @returns whether git compared them. If not (a tree is missing, the process died), nothing was
 *   yielded.
 * @throws {GitExitError} when the process dies during the output; {GitalyError} CANCELLED or
 *   DEADLINE_EXCEEDED when `signal` is aborted, RESOURCE_EXHAUSTED when git takes too long.
 */
export async function* compareTrees(
  repository: GitRepository,
  trees: TreePair,
  signal: AbortSignal,
): AsyncGenerator<Buffer, boolean, undefined> {
  let run = await repository.treeDiffs.takeSoon(repository, trees.attributes, signal);
  if (run === undefined) {
    await repository.spawnTurn(signal);
    run = repository.treeDiffs.start(repository, trees.attributes);
  }
  const process = run;
  const onAbort = (): void => process.kill();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  using _ = process.limitCpu(MAX_DIFF_CPU_SECONDS);
  let end: End | undefined;
  try {
    end = yield* answer(process, `${trees.before} ${trees.after}\n`);
    if (signal.aborted) throw abortError(signal);
    if (end === 'cut off' || process.hasExceededCpu) throw process.failure(await process.exited);
    return end === 'whole';
  } finally {
    signal.removeEventListener('abort', onAbort);
    await leave(repository, process, end);
  }
}

/** End of a response: complete, only the mark, or interrupted. */
type End = 'whole' | 'nothing' | 'cut off';

/**
 * End mark. git repeats a line that is not a request after the complete output. No line of a diff
 * begins like this.
 */
const MARK = '=end\n';
const END = Buffer.from(`\n${MARK}`);

async function* answer(process: GitProcess, question: string): AsyncGenerator<Buffer, End, undefined> {
  process.stdin.write(question + MARK);
  // A response begins with the request. If there is no difference, its last byte is the line feed
  // before the mark.
  let behind = question.length - 1;
  let held: Buffer = Buffer.alloc(0);
  let isBegun = false;
  for (;;) {
    const chunk = await nextChunk(process.stdout);
    if (chunk === undefined) {
      if (!isBegun) return 'nothing';
      // These bytes are not the mark: git ended after them.
      if (held.length > 0) yield held;
      return 'cut off';
    }
    noteBulkBytes(chunk.length);
    const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    if (!isBegun && bytes.equals(END.subarray(1))) return 'nothing';
    const isWhole = bytes.length >= behind + END.length && bytes.subarray(-END.length).equals(END);
    // Bytes that may be the start of the mark are kept for the next chunk.
    const upTo = isWhole ? bytes.length - MARK.length : bytes.length - END.length;
    if (upTo > behind + 1) {
      yield bytes.subarray(behind + 1, upTo);
      isBegun = true;
      behind = -1;
      held = bytes.subarray(upTo);
    } else held = bytes;
    if (isWhole) return 'whole';
  }
}

/** Returns the next chunk; `undefined` at the end of the stream. */
async function nextChunk(stream: ByteStream): Promise<Buffer | undefined> {
  for (;;) {
    const chunk = stream.read();
    if (chunk !== null) return chunk;
    if (stream.readableEnded || stream.destroyed) return undefined;
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        for (const event of EVENTS) stream.off(event, settle);
        resolve();
      };
      for (const event of EVENTS) stream.on(event, settle);
    });
  }
}

const EVENTS = ['readable', 'end', 'close'] as const;

async function leave(repository: GitRepository, process: GitProcess, end: End | undefined): Promise<void> {
  const used = (uses.get(process) ?? 0) + 1;
  uses.set(process, used);
  if (end === 'whole' && used < MAX_USES) repository.treeDiffs.giveBack(repository, process);
  else await process[Symbol.asyncDispose]();
}
