import { exceptEnd } from '#base/streams/except-end';
import type { TraceFile } from '#domain/git-service/trace-file';
import type { ChosenObjects } from '#git/bitmap/choose-objects';
import { flag, gitCommand } from '#git/command/git-command';
import { FallBackToGit } from '#git/command/in-process';
import { outputBytes } from '#git/command/output';
import { GitExitError } from '#git/command/process/exit-error';
import { OID_BYTES } from '#git/names/object-id';
import { objectsInPack, PACK_HEADER_BYTES } from '#git/objects/pack-header';
import type { Repository } from '#storage/repository';
import type { PartialFilter } from '../fetch-arguments.ts';

/** Objects that git packs in addition to those of reused packs. Disposing ends git. */
export interface PackBeyond extends AsyncDisposable {
  readonly count: number;
  /** The packed objects, without header and checksum. */
  readonly bytes: AsyncGenerator<Buffer, void>;
}

/** Of the list of objects: 200,000. git makes the whole pack if there are more. */
const MAX_LIST_BYTES = 16 << 20;

const PACK = gitCommand('pack-objects', {
  options: ['--stdout', '--delta-base-offset', '--quiet'].map(flag),
});

/**
 * Lists what objects need besides others, as lines of an id and perhaps a path.
 *
 * @throws {FallBackToGit} when git fails, or the list is long.
 */
export async function listBeyond(
  repository: Repository,
  {
    bases,
    filter,
    tips,
  }: Pick<ChosenObjects, 'bases' | 'tips'> & { readonly filter: PartialFilter | undefined },
  signal: AbortSignal,
): Promise<Buffer> {
  if (tips.length === 0) return Buffer.alloc(0);
  const input = Buffer.from([...tips, ...bases.map((base) => `^${base}`), ''].join('\n'));
  const filters = filter === undefined ? [] : [flag(`--filter=${filter}`)];
  const list = gitCommand('rev-list', { options: [flag('--objects'), flag('--stdin'), ...filters] });
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    for await (const piece of outputBytes(repository, list, { input, signal })) {
      size += piece.length;
      if (size > MAX_LIST_BYTES) throw new FallBackToGit('many objects have no bitmap');
      pieces.push(piece);
    }
  } catch (error) {
    throw asFallBack(error, signal);
  }
  return Buffer.concat(pieces);
}

/**
 * Starts git for objects.
 *
 * @param lines of {@link listBeyond}.
 * @returns `undefined` for none.
 * @throws {FallBackToGit} when git fails at once; {GitExitError} when it fails later.
 */
export async function packBeyond(
  repository: Repository,
  lines: readonly Buffer[],
  { signal, trace }: { readonly trace: Pick<TraceFile, 'env'>; readonly signal: AbortSignal },
): Promise<PackBeyond | undefined> {
  if (lines.length === 0) return undefined;
  const source = outputBytes(repository, PACK, { env: trace.env, input: Buffer.concat(lines), signal });
  try {
    return await startPack(source, OID_BYTES[repository.objectFormat]);
  } catch (error) {
    throw asFallBack(error, signal);
  }
}

function asFallBack(error: unknown, signal: AbortSignal): unknown {
  if (!(error instanceof GitExitError) || signal.aborted) return error;
  return new FallBackToGit('git cannot list or pack objects', { cause: error });
}

async function startPack(source: AsyncGenerator<Buffer, void>, checksumBytes: number): Promise<PackBeyond> {
  let start = Buffer.alloc(0);
  while (start.length < PACK_HEADER_BYTES) {
    const next = await source.next();
    if (next.done === true) break;
    start = Buffer.concat([start, next.value]);
  }
  const count = objectsInPack(start);
  if (count === undefined) throw new FallBackToGit('git has written no pack');
  const bytes = exceptEnd(joined(start.subarray(PACK_HEADER_BYTES), source), checksumBytes);
  return {
    count,
    bytes,
    async [Symbol.asyncDispose]() {
      await bytes.return();
      await source.return();
    },
  };
}

async function* joined(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  yield first;
  yield* rest;
}
