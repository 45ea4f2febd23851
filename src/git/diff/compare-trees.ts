import type { Readable } from 'node:stream';
import { noteBulkBytes } from '#base/bulk-memory';
import { abortError } from '../command/exit-error.ts';
import type { GitProcess } from '../command/git-process.ts';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';

/** Ids of trees. */
export interface TreePair {
  readonly before: string;
  readonly after: string;
  /** Its `.gitattributes` are in force. */
  readonly attributes: string;
}

/** git keeps the trees that it was given for as long as it runs. */
const MAX_USES = 100;

const uses = new WeakMap<GitProcess, number>();

/**
 * What `git diff-tree` prints about two trees, asked of a process that waits for such questions.
 *
 * @returns whether git compared them. If not (a tree is missing, the process died), nothing was yielded.
 * @throws {GitExitError} when the process dies in the middle; {GitalyError} CANCELLED or DEADLINE_EXCEEDED when `signal` is aborted.
 */
export async function* compareTrees(
  git: Git,
  repository: GitRepository,
  trees: TreePair,
  signal: AbortSignal,
): AsyncGenerator<Buffer, boolean, undefined> {
  let run = git.treeDiffs.take(repository, trees.attributes);
  if (run === undefined) {
    await git.spawnTurn(signal);
    run = git.treeDiffs.start(repository, trees.attributes);
  }
  const process = run;
  const onAbort = (): void => process.kill();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  let end: End | undefined;
  try {
    end = yield* answer(process, `${trees.before} ${trees.after}\n`);
    if (signal.aborted) throw abortError(signal);
    if (end === 'cut off') throw process.exitError(await process.exited);
    return end === 'whole';
  } finally {
    signal.removeEventListener('abort', onAbort);
    await leave(git, repository, process, end);
  }
}

/** How an answer ended: as it should; with nothing but the mark; in the middle. */
type End = 'whole' | 'nothing' | 'cut off';

/** git repeats a line that is no question, and what it printed before is then complete. No line of a diff begins like this. */
const MARK = '=end\n';
const END = Buffer.from(`\n${MARK}`);

async function* answer(process: GitProcess, question: string): AsyncGenerator<Buffer, End, undefined> {
  process.stdin.write(question + MARK);
  // An answer begins with the question. The last byte of that is the line feed before the mark when nothing differs.
  let behind = question.length - 1;
  let held: Buffer = Buffer.alloc(0);
  let isBegun = false;
  for (;;) {
    const chunk = await nextChunk(process.stdout);
    if (chunk === undefined) return isBegun ? 'cut off' : 'nothing';
    noteBulkBytes(chunk.length);
    const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    if (!isBegun && bytes.equals(END.subarray(1))) return 'nothing';
    const isWhole = bytes.length >= behind + END.length && bytes.subarray(-END.length).equals(END);
    // What may be the beginning of the end is kept back.
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

/** `undefined` when the stream has ended. */
async function nextChunk(stream: Readable): Promise<Buffer | undefined> {
  for (;;) {
    // A stream without an encoding reads Buffers.
    const chunk = stream.read() as Buffer | null;
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

async function leave(git: Git, repository: GitRepository, process: GitProcess, end: End | undefined): Promise<void> {
  const used = (uses.get(process) ?? 0) + 1;
  uses.set(process, used);
  if (end === 'whole' && used < MAX_USES) git.treeDiffs.giveBack(repository, process);
  else await process[Symbol.asyncDispose]();
}
