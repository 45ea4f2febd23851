import { existsSync } from 'node:fs';
import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { GitExitError } from '../command/exit-error.ts';
import { flag, type GitOption, gitCommand, joined } from '../command/git-command.ts';
import { outputLines } from '../command/output-lines.ts';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';
import { parseHeader } from './cat-file-header.ts';
import type { ObjectInfo, ObjectType } from './object-info.ts';
import { revListFailure } from './rev-list-failure.ts';
import { revisionInput } from './revision-input.ts';

/** An object that a walk came across. */
export interface WalkedObject {
  readonly oid: string;
  /** Where it was found first, as git prints it; empty for commits and for objects that were named by their id. */
  readonly path: Buffer;
}

export interface WalkOptions {
  /** Revisions and pseudo-revisions, checked by the caller. */
  readonly revisions: readonly (string | Uint8Array)[];
  /** Only objects of this type, those that were named themselves too. */
  readonly type?: ObjectType;
  /** Only blobs smaller than this. */
  readonly blobsBelowBytes?: number;
  readonly signal?: AbortSignal | undefined;
}

const NO_PATH = Buffer.alloc(0);
const SPACE = 0x20;

/**
 * Walks what can be reached from revisions, with `rev-list --objects`: in git's order, each object once, in batches as git prints
 * them. A reader that is slow slows git down, one that leaves ends it.
 *
 * @throws {GitalyError} without a code, see {@link revListFailure}.
 */
export async function* walkObjects(git: Git, repository: GitRepository, options: WalkOptions): AsyncGenerator<WalkedObject[]> {
  const { signal } = options;
  const { stdin, words } = revisionInput(git, options.revisions);
  const revList = gitCommand('rev-list', { options: walkFlags(options), revisions: words, endOfRevisions: true });
  try {
    for await (const lines of outputLines(git, repository, revList, { input: stdin, signal })) yield lines.map(parseWalked);
  } catch (error) {
    throw revListFailure(error);
  }
}

function walkFlags({ type, blobsBelowBytes }: WalkOptions): GitOption[] {
  const flags = [flag('--in-commit-order'), flag('--objects'), flag('--object-names')];
  if (blobsBelowBytes !== undefined) flags.push(joined('--filter', `blob:limit=${blobsBelowBytes}`));
  if (type !== undefined) flags.push(joined('--filter', `object:type=${type}`), flag('--filter-provided-objects'));
  // Last, because it is read where it stands: revisions on the command line come after those of standard input.
  return [...flags, flag('--stdin')];
}

/** Reads `<oid>[ <path>]`. */
function parseWalked(line: Buffer): WalkedObject {
  const space = line.indexOf(SPACE);
  if (space === -1) return { oid: line.toString('latin1'), path: NO_PATH };
  return { oid: line.toString('latin1', 0, space), path: line.subarray(space + 1) };
}

export interface AllObjectsOptions {
  readonly type?: ObjectType;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Every object of the object database, also what nothing leads to, each once, in the order in which it is stored. In a quarantine without
 * alternates these are the quarantined objects.
 *
 * An object that is gone before git has looked at it, as when a repack drops what nothing leads to, is left out.
 *
 * @throws {GitalyError} without a code: `parsing object info: object not found` at one that is damaged, and
 *   `cat-file failed: exit status 128, stderr: {"…" '\x00' '\x00'}` (Gitaly prints a Go struct).
 */
export async function* allObjects(
  git: Git,
  repository: GitRepository,
  { type, signal }: AllObjectsOptions = {},
): AsyncGenerator<ObjectInfo[]> {
  const options = [flag('--batch-check'), flag('--batch-all-objects'), flag('--buffer'), flag('--unordered')];
  if (type !== undefined && git.capabilities.catFileFilter) options.push(joined('--filter', `object:type=${type}`));
  const catFile = gitCommand('cat-file', { options });
  try {
    for await (const lines of outputLines(git, repository, catFile, { signal })) {
      const infos = lines.map(parseHeader).filter((info) => info !== undefined);
      const wanted = type === undefined ? infos : infos.filter((info) => info.type === type);
      if (wanted.length > 0) yield wanted;
      if (infos.length < lines.length && lines.some((line) => isDamaged(repository, line))) {
        throw new GitalyError('UNKNOWN', 'parsing object info: object not found');
      }
    }
  } catch (error) {
    if (!(error instanceof GitExitError)) throw error;
    const stderr = `{${quote(error.stderr)} '\\x00' '\\x00'}`;
    throw new GitalyError('UNKNOWN', `cat-file failed: ${error.message}, stderr: ${stderr}`, { cause: error });
  }
}

/** Reads `<oid> missing`. What is still there, and yet missing for git, is damaged. */
function isDamaged({ objectDirectory, alternateObjectDirectories }: GitRepository, line: Buffer): boolean {
  const [oid = '', state] = line.toString('latin1').split(' ');
  if (state !== 'missing') return false;
  const file = `${oid.slice(0, 2)}/${oid.slice(2)}`;
  return [objectDirectory, ...alternateObjectDirectories].some((directory) => existsSync(`${directory}/${file}`));
}
