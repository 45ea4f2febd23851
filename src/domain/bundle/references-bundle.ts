import { readdir } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { LoopSlice } from '#base/loop-turns';
import { GitExitError } from '#git/command/exit-error';
import { flag, gitCommand, joined } from '#git/command/git-command';
import { outputBytes } from '#git/command/output-bytes';
import { outputLines } from '#git/command/output-lines';
import { OID_DIGITS, OID_SOURCE } from '#git/objects/object-id';
import { HEAD } from '#git/refs/ref-name';
import type { Repository } from '#storage/repository';
import { bundleSignature, referenceLinesOf } from './bundle-header.ts';
import { EmptyBundleError } from './empty-bundle-error.ts';
import { MAX_HEADER_BYTES } from './header-scan.ts';

/** Contents of a bundle of all references. */
export interface BundleSelection {
  /** Ids of objects that the pack contains besides those of the references. */
  readonly added: ReadonlySet<string>;
  /** Ids of objects that it does not contain; those that do not exist are ignored. */
  readonly excluded: ReadonlySet<string>;
}

interface SignalOption {
  readonly signal: AbortSignal;
}

/**
 * Matches names for which git has to look for other references: `refs/heads/refs/tags/v1` makes
 * `refs/tags/v1` ambiguous, which is then left out, and a branch can be called like an object id.
 */
const AMBIGUOUS = new RegExp(`^refs/(?:heads/|tags/|remotes/)?(?:refs/|(?:HEAD|${OID_SOURCE})(?:/HEAD)?$)`);
const LINE_FEED = 0x0a;
const DASH = 0x2d;
/** White space of git's `isspace`. */
const WHITE_SPACE: ReadonlySet<number | undefined> = new Set(Buffer.from(' \t\r\n'));
/** Object ids that are passed to git at once. */
const BATCH = 1024;

/**
 * Yields the bundle that `git bundle create --all --ignore-missing` creates, with `git
 * pack-objects`. git 2.39 compares each reference with every other one, and all versions look for
 * six files for each of them: a minute for 400,000 references.
 *
 * The header is held (64 MiB at most) until git has found the objects.
 *
 * @returns false, without having yielded anything, if only git can tell the contents: names that
 *   are ambiguous, worktrees, references to trees and blobs in an increment, damaged repositories.
 * @throws {EmptyBundleError} after the header; {GitExitError} of `pack-objects`.
 */
export async function* referencesBundle(
  repository: Repository,
  selection: BundleSelection,
  { signal }: SignalOption,
): AsyncGenerator<Buffer, boolean> {
  const plan = await unlessGitFails(() => planBundle(repository, selection, signal), signal);
  if (plan === undefined) return false;
  if (plan.isEmpty) {
    yield* plan.header;
    throw new EmptyBundleError();
  }
  const pack = outputBytes(repository, PACK_OBJECTS, { signal, input: plan.revisions });
  try {
    // git has read all objects that it was given before it writes.
    const start = await unlessGitFails(() => pack.next(), signal);
    if (start === undefined || start.done === true) return false;
    yield* plan.header;
    yield start.value;
    yield* pack;
  } finally {
    await pack.return();
  }
  return true;
}

/** The options of `git bundle`. */
const PACK_OBJECTS = gitCommand('pack-objects', {
  options: ['--stdout', '--thin', '--delta-base-offset', '--quiet', '--revs'].map(flag),
});

async function unlessGitFails<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof GitExitError && !signal.aborted) return undefined;
    throw error;
  }
}

interface BundlePlan {
  /** Pieces of the header, with the empty line at the end. */
  readonly header: readonly Buffer[];
  /** True if the header has no references. */
  readonly isEmpty: boolean;
  /** Standard input of `pack-objects`. */
  readonly revisions: Iterable<Buffer>;
}

async function planBundle(
  repository: Repository,
  selection: BundleSelection,
  signal: AbortSignal,
): Promise<BundlePlan | undefined> {
  if (await hasWorktrees(repository)) return undefined;
  const references = await References.list(repository, signal);
  if (references === undefined) return undefined;
  const parts = { references, signature: bundleSignature(repository.objectFormat), selection };
  return await (selection.excluded.size === 0 ? planFull : planIncrement)(repository, parts, signal);
}

interface PlanParts {
  readonly references: References;
  readonly signature: Buffer;
  readonly selection: BundleSelection;
}

const END = Buffer.of(LINE_FEED);

async function planFull(
  repository: Repository,
  { references, signature, selection }: PlanParts,
  signal: AbortSignal,
): Promise<BundlePlan> {
  const added = await existing(repository, selection.added, signal);
  return {
    header: [signature, ...references.lines, END],
    isEmpty: references.lines.length === 0,
    revisions: linesOf(references.eachOid(), added),
  };
}

async function planIncrement(
  repository: Repository,
  { references, signature, selection }: PlanParts,
  signal: AbortSignal,
): Promise<BundlePlan | undefined> {
  const { wanted, excluded } = await chooseRevisions(repository, { references, selection }, signal);
  const found = await walk(repository, { wanted, excluded }, signal);
  const left = await difference(wanted, found.shown, signal);
  const isComplete = await areCommitsOrTags(repository, left, signal);
  if (!isComplete) return undefined;
  const lines = await references.linesWith(found.shown, signal);
  return {
    header: [signature, ...found.prerequisites, ...lines, END],
    isEmpty: lines.length === 0,
    revisions: linesOf(found.shown, negated(excluded)),
  };
}

interface Revisions {
  readonly wanted: ReadonlySet<string>;
  readonly excluded: ReadonlySet<string>;
}

/** Returns the object ids that git would parse, without those that have no object. */
async function chooseRevisions(
  repository: Repository,
  { references, selection }: Pick<PlanParts, 'references' | 'selection'>,
  signal: AbortSignal,
): Promise<Revisions> {
  const slice = new LoopSlice();
  const wanted = new Set<string>();
  const excluded = new Set<string>();
  for (const oid of references.eachOid()) {
    if (slice.isOver) await slice.pause(signal);
    (selection.excluded.has(oid) ? excluded : wanted).add(oid);
  }
  const others = { added: new Set<string>(), excluded: new Set<string>() };
  for (const oid of selection.excluded) {
    if (slice.isOver) await slice.pause(signal);
    if (!excluded.has(oid)) others.excluded.add(oid);
  }
  for (const oid of selection.added) {
    if (slice.isOver) await slice.pause(signal);
    if (!selection.excluded.has(oid)) others.added.add(oid);
  }
  for (const oid of await existing(repository, others.excluded, signal)) excluded.add(oid);
  for (const oid of await existing(repository, others.added, signal)) wanted.add(oid);
  return { wanted, excluded };
}

/** The references of a repository as lines of a header: in the order of names, HEAD last. */
class References {
  readonly lines: readonly Buffer[];
  readonly #digits: number;

  private constructor(lines: readonly Buffer[], digits: number) {
    this.lines = lines;
    this.#digits = digits;
  }

  /** @returns `undefined` if one is ambiguous, or if there are too many. */
  static async list(repository: Repository, signal: AbortSignal): Promise<References | undefined> {
    const lines: Buffer[] = [];
    let bytes = 0;
    for await (const batch of repository.refs.list({ patterns: [Buffer.from('refs/')] }, { signal })) {
      if (batch.some(({ name }) => AMBIGUOUS.test(name.toString('latin1')))) return undefined;
      const piece = referenceLinesOf(batch);
      bytes += piece.length;
      if (bytes > MAX_HEADER_BYTES) return undefined;
      lines.push(piece);
    }
    const head = await repository.refs.resolve(HEAD, { signal });
    if (head !== undefined) lines.push(referenceLinesOf([{ oid: head.oid, name: HEAD }]));
    return new References(lines, OID_DIGITS[repository.objectFormat]);
  }

  /** Yields the object id of each reference. */
  *eachOid(): Generator<string> {
    for (const piece of this.lines)
      for (let at = 0; at < piece.length; at = piece.indexOf(LINE_FEED, at) + 1)
        yield piece.toString('latin1', at, at + this.#digits);
  }

  /** Returns the lines whose object is one of these. */
  async linesWith(oids: ReadonlySet<string>, signal: AbortSignal): Promise<Buffer[]> {
    const slice = new LoopSlice();
    const found: Buffer[] = [];
    if (oids.size === 0) return found;
    for (const piece of this.lines) {
      await slice.pause(signal);
      for (let at = 0; at < piece.length; ) {
        const next = piece.indexOf(LINE_FEED, at) + 1;
        if (oids.has(piece.toString('latin1', at, at + this.#digits))) found.push(piece.subarray(at, next));
        at = next;
      }
    }
    return found;
  }
}

interface Walked {
  /** Those wanted objects that no excluded one contains. */
  readonly shown: ReadonlySet<string>;
  /** Lines of a header: the excluded commits that are parents of included ones. */
  readonly prerequisites: readonly Buffer[];
}

/** Walks the history as `git bundle` does. Tags are listed as well, trees and blobs are not read. */
const WALK = gitCommand('rev-list', {
  options: [
    ...['--objects', '--no-object-names', '--boundary'].map(flag),
    joined('--filter', 'tree:0'),
    joined('--pretty', 'oneline'),
    flag('--stdin'),
  ],
});

async function walk(
  repository: Repository,
  { wanted, excluded }: Revisions,
  signal: AbortSignal,
): Promise<Walked> {
  const shown = new Set<string>();
  const prerequisites: Buffer[] = [];
  if (wanted.size === 0) return { shown, prerequisites };
  const digits = OID_DIGITS[repository.objectFormat];
  const input = linesOf(wanted, negated(excluded));
  for await (const lines of outputLines(repository, WALK, { input, signal, maxLineBytes: MAX_HEADER_BYTES }))
    for (const line of lines) {
      const start = line[0] === DASH ? 1 : 0;
      const oid = line.toString('latin1', start, start + digits);
      if (start === 0) {
        if (wanted.has(oid)) shown.add(oid);
        continue;
      }
      prerequisites.push(prerequisiteOf(oid, line.subarray(start + digits)));
    }
  return { shown, prerequisites };
}

/** Returns `-<oid> <subject>`, without white space around the subject. */
function prerequisiteOf(oid: string, subject: Buffer): Buffer {
  let [start, end] = [0, subject.length];
  while (start < end && WHITE_SPACE.has(subject[start])) start++;
  while (start < end && WHITE_SPACE.has(subject[end - 1])) end--;
  return Buffer.concat([Buffer.from(`-${oid} `), subject.subarray(start, end), END]);
}

function negated(oids: ReadonlySet<string>): Iterable<string> {
  return oids.values().map((oid) => `^${oid}`);
}

function* linesOf(...lists: readonly Iterable<string>[]): Generator<Buffer> {
  for (const list of lists) for (const lines of batchesOf(list)) yield Buffer.from(`${lines.join('\n')}\n`);
}

function* batchesOf<T>(items: Iterable<T>): Generator<readonly T[]> {
  let batch: T[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Returns those ids that have an object. */
async function existing(
  repository: Repository,
  oids: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Set<string>> {
  const found = new Set<string>();
  for await (const [oid, type] of typesOf(repository, oids, signal)) if (type !== undefined) found.add(oid);
  return found;
}

async function areCommitsOrTags(
  repository: Repository,
  oids: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<boolean> {
  for await (const [, type] of typesOf(repository, oids, signal))
    if (type !== 'commit' && type !== 'tag') return false;
  return true;
}

async function* typesOf(repository: Repository, oids: ReadonlySet<string>, signal: AbortSignal) {
  if (oids.size === 0) return;
  const source = () => batchesOf(oids.values().map((oid) => ({ oid })));
  for await (const batch of repository.objects.infoMany(source, { signal }))
    for (const { item, info } of batch) yield [item.oid, info?.type] as const;
}

/** Returns the ids that are in the first set alone. */
async function difference(
  oids: ReadonlySet<string>,
  others: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Set<string>> {
  const slice = new LoopSlice();
  const left = new Set<string>();
  for (const oid of oids) {
    if (slice.isOver) await slice.pause(signal);
    if (!others.has(oid)) left.add(oid);
  }
  return left;
}

/** `git bundle` includes the HEADs of other working trees. */
async function hasWorktrees({ path }: Repository): Promise<boolean> {
  return ((await readdir(`${path}/worktrees`).catch(ignoreMissing)) ?? []).length > 0;
}
