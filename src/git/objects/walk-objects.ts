import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { CommandRepository } from '../command/command-repository.ts';
import { flag, type GitOption, gitCommand, joined } from '../command/git-command.ts';
import { outputLines } from '../command/output.ts';
import { GitExitError } from '../command/process/exit-error.ts';
import type { ObjectInfo, ObjectType } from '../names/object-info.ts';
import { parseHeader } from './cat-file/cat-file-header.ts';
import { revListFailure } from './rev-list-failure.ts';
import { revisionInput } from './revision-input.ts';

export interface WalkedObject {
  readonly oid: string;
  /**
   * Path at which it was found first, as git prints it; empty for commits and for objects that were
   * named by id.
   */
  readonly path: Buffer;
}

export interface ObjectWalkOptions {
  /** Revisions and pseudo-revisions, checked by the caller. */
  readonly revisions: readonly (string | Uint8Array)[];
  /** Lists only objects of this type, including those that were named. */
  readonly type?: ObjectType;
  /** Lists only blobs smaller than this. */
  readonly blobsBelowBytes?: number;
  readonly signal?: AbortSignal | undefined;
}

const NO_PATH = Buffer.alloc(0);
const SPACE = 0x20;

/**
 * Walks the objects reachable from revisions, with `rev-list --objects`: in git's order, each
 * object once, in batches as git prints them. A slow reader slows git down; a reader that stops
 * early ends it.
 *
 * @throws {GitalyError} without a code, see {@link revListFailure}.
 */
export async function* walkObjects(
  repository: CommandRepository,
  options: ObjectWalkOptions,
): AsyncGenerator<WalkedObject[]> {
  const { signal } = options;
  try {
    const { stdin, words } = revisionInput(repository.git, options.revisions);
    const revList = gitCommand('rev-list', {
      options: walkFlags(options),
      revisions: words,
      endOfRevisions: true,
    });
    for await (const lines of outputLines(repository, revList, { input: stdin, signal }))
      yield lines.map(parseWalked);
  } catch (error) {
    throw revListFailure(error);
  }
}

function walkFlags({ type, blobsBelowBytes }: ObjectWalkOptions): GitOption[] {
  const flags = [flag('--in-commit-order'), flag('--objects'), flag('--object-names')];
  if (blobsBelowBytes !== undefined) flags.push(joined('--filter', `blob:limit=${blobsBelowBytes}`));
  if (type !== undefined)
    flags.push(joined('--filter', `object:type=${type}`), flag('--filter-provided-objects'));
  // Last, because it is read at its position: revisions on the command line come after those of
  // standard input.
  return [...flags, flag('--stdin')];
}

/** Parses `<oid>[ <path>]`. */
function parseWalked(line: Buffer): WalkedObject {
  const space = line.indexOf(SPACE);
  if (space === -1) return { oid: line.toString('latin1'), path: NO_PATH };
  return { oid: line.toString('latin1', 0, space), path: line.subarray(space + 1) };
}

export interface AllObjectsOptions {
  readonly type?: ObjectType;
  readonly signal?: AbortSignal | undefined;
}

const MAX_ATTEMPTS = 3;
/** Beyond this number of objects a listing that fails is not repeated. */
const MAX_REPEATED = 10_000;

/**
 * Yields every object of the object database, including unreachable ones, each once, in storage
 * order. In a quarantine without alternates these are the quarantined objects.
 *
 * Objects that are removed meanwhile are omitted, for example unreachable ones dropped by a repack.
 * When a repack removes a pack before git has opened it, the listing is repeated.
 *
 * @throws {GitalyError} without a code: `parsing object info: object not found` for a damaged
 *   object, and `cat-file failed: exit status 128, stderr: {"…" '\x00' '\x00'}` (Gitaly prints a Go
 *   struct).
 */
export async function* allObjects(
  repository: CommandRepository,
  options: AllObjectsOptions = {},
): AsyncGenerator<ObjectInfo[]> {
  const yielded = new Set<string>();
  for (let attempt = 1; ; attempt++) {
    try {
      const missing = new Set<string>();
      for await (const infos of listObjects(repository, options, (oid) => addMissing(missing, oid))) {
        const others = attempt === 1 ? infos : infos.filter(({ oid }) => !yielded.has(oid));
        if (yielded.size <= MAX_REPEATED) addAll(yielded, others);
        if (others.length > 0) yield others;
      }
      if (missing.size > 0) await requireRemoved(repository, options, missing);
      return;
    } catch (error) {
      if (!(error instanceof GitExitError)) throw error;
      if (isPackGone(error) && attempt < MAX_ATTEMPTS && yielded.size <= MAX_REPEATED) continue;
      const stderr = `{${quote(error.stderr)} '\\x00' '\\x00'}`;
      throw new GitalyError('UNKNOWN', `cat-file failed: ${error.message}, stderr: ${stderr}`, {
        cause: error,
      });
    }
  }
}

function addAll(oids: Set<string>, infos: readonly ObjectInfo[]): void {
  for (const { oid } of infos) oids.add(oid);
}

function addMissing(missing: Set<string>, oid: string): void {
  if (missing.size === MAX_REPEATED) throw damaged();
  missing.add(oid);
}

/**
 * Lists all objects once more. One that git names again and cannot read is damaged, loose or in a
 * pack; one that was removed meanwhile is not named any more.
 */
async function requireRemoved(
  repository: CommandRepository,
  options: AllObjectsOptions,
  missing: ReadonlySet<string>,
): Promise<void> {
  const onMissing = (oid: string): void => {
    if (missing.has(oid)) throw damaged();
  };
  for await (const _ of listObjects(repository, options, onMissing));
}

function damaged(): GitalyError {
  return new GitalyError('UNKNOWN', 'parsing object info: object not found');
}

/** Reports whether git failed because a pack was removed between finding and opening it. */
function isPackGone({ stderr }: GitExitError): boolean {
  return stderr.startsWith('fatal: packfile ') && stderr.includes(' cannot be accessed');
}

/** Lists all objects once. @param onMissing receives those that git names but does not find. */
async function* listObjects(
  repository: CommandRepository,
  { type, signal }: AllObjectsOptions,
  onMissing: (oid: string) => void,
): AsyncGenerator<ObjectInfo[]> {
  const options = [flag('--batch-check'), flag('--batch-all-objects'), flag('--buffer'), flag('--unordered')];
  if (type !== undefined && repository.git.capabilities.catFileFilter)
    options.push(joined('--filter', `object:type=${type}`));
  const catFile = gitCommand('cat-file', { options });
  for await (const lines of outputLines(repository, catFile, { signal })) {
    const infos = lines.map(parseHeader).filter((info) => info !== undefined);
    const wanted = type === undefined ? infos : infos.filter((info) => info.type === type);
    if (wanted.length > 0) yield wanted;
    if (infos.length < lines.length) for (const line of lines) noteMissing(line, onMissing);
  }
}

/** Parses `<oid> missing`. */
function noteMissing(line: Buffer, onMissing: (oid: string) => void): void {
  const [oid = '', state] = line.toString('latin1').split(' ');
  if (state === 'missing') onMissing(oid);
}
