import { outputLines } from '../command/output-lines.ts';
import type { Arg } from '../command/spawner/spawner.ts';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';
import { forEachRef, type RefQuery } from './for-each-ref.ts';
import type { ListedRef } from './listed-ref.ts';
import { matchAsPath } from './ref-patterns.ts';

export interface AskOptions {
  /** Tells what tag objects finally point to. */
  readonly peel?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

const FORMAT = '%(objectname) %(refname)';
const PEELED_FORMAT = `${FORMAT}%00%(*objecttype) %(*objectname)`;
/** Matches no reference: a component of a name cannot begin with a dot. */
const NO_PATTERN = 'refs/.';
const FULL_ID = /^(?:[0-9a-fA-F]{40}|[0-9a-fA-F]{64})$/;

const NUL = 0;
const SPACE = 0x20;

/**
 * Prepares a `git for-each-ref` with what older versions of it cannot do done here: leaving references out, looking through tags of tags.
 * Nothing is started before the result is called and iterated; `after` then leaves out what comes up to that name.
 *
 * The limit of the query is not kept where something is done here.
 *
 * @throws {GitalyError} for words that git must not see; {GitExitError} while iterating, when git fails.
 */
export function askForRefs(
  git: Git,
  repository: GitRepository,
  query: RefQuery,
  options: AskOptions,
): (after?: Buffer) => AsyncGenerator<ListedRef[], void> {
  const { forEachRefExclude: knowsExclude, pointsAtNested } = git.capabilities;
  const { limit, pointsAt = [], exclude = [], ...rest } = query;
  const pointsAtHere = !pointsAtNested && pointsAt.length > 0;
  const excludesHere = !knowsExclude && exclude.length > 0;
  const isLimited = limit !== undefined && !pointsAtHere && !excludesHere;
  const asked = { ...rest, exclude, ...(!pointsAtHere && { pointsAt }), ...(isLimited && { limit }) };
  const command = forEachRef(asked, options.peel === true || pointsAtHere ? PEELED_FORMAT : FORMAT, { knowsExclude });
  const check = forEachRef({ patterns: [NO_PATTERN], pointsAt }, FORMAT, { knowsExclude });
  const isExcluded = excludesHere ? matchAsPath(exclude, { ignoreCase: query.ignoreCase === true }) : undefined;
  const parts = { git, repository, signal: options.signal };

  return async function* ask(after) {
    if (pointsAtHere) await git.run(check, { repository, signal: options.signal });
    const targets = pointsAtHere ? await idsOf(parts, pointsAt) : undefined;
    for await (const lines of outputLines(git, repository, command, { signal: options.signal })) {
      const refs: ListedRef[] = [];
      for (const line of lines) {
        const ref = parseLine(line);
        if (isExcluded?.(ref.name) === true || (after !== undefined && Buffer.compare(ref.name, after) <= 0)) continue;
        if (targets !== undefined && !(await leadsToOne(parts, ref, targets))) continue;
        refs.push(await withPeeled(parts, ref, options.peel === true));
      }
      if (refs.length > 0) yield refs;
    }
  };
}

interface Parts {
  readonly git: Git;
  readonly repository: GitRepository;
  readonly signal: AbortSignal | undefined;
}

interface Line {
  readonly name: Buffer;
  readonly oid: string;
  /** What a tag object points to; empty for other objects, and where it was not asked for. Older versions of git follow only one tag. */
  readonly taggedType: string;
  readonly taggedOid: string;
}

function parseLine(line: Buffer): Line {
  const space = line.indexOf(SPACE);
  const nul = line.indexOf(NUL, space);
  const oid = line.toString('latin1', 0, space);
  const name = line.subarray(space + 1, nul === -1 ? line.length : nul);
  const [taggedType = '', taggedOid = ''] = nul === -1 ? [] : line.toString('latin1', nul + 1).split(' ');
  return { name, oid, taggedType, taggedOid };
}

async function withPeeled({ git, repository, signal }: Parts, line: Line, isPeelKnown: boolean): Promise<ListedRef> {
  const { name, oid, taggedType, taggedOid } = line;
  if (!isPeelKnown || taggedOid === '') return { name, oid, peeledOid: undefined, isPeelKnown };
  if (taggedType !== 'tag') return { name, oid, peeledOid: taggedOid, isPeelKnown };
  return { name, oid, peeledOid: (await git.objects(repository).info(`${oid}^{}`, { signal }))?.oid, isPeelKnown };
}

/** The ids of revisions. A full id is one, whether there is such an object or not. */
async function idsOf({ git, repository, signal }: Parts, revisions: readonly Arg[]): Promise<Set<string>> {
  const ids = new Set<string>();
  for (const revision of revisions) {
    const text = Buffer.from(revision).toString('latin1');
    const id = FULL_ID.test(text) ? text.toLowerCase() : (await git.objects(repository).info(revision, { signal }))?.oid;
    if (id !== undefined) ids.add(id);
  }
  return ids;
}

/** Whether a reference is one of some objects, or is a chain of tags that leads to or past one. */
async function leadsToOne(parts: Parts, { oid, taggedOid, taggedType }: Line, targets: ReadonlySet<string>): Promise<boolean> {
  if (targets.has(oid) || targets.has(taggedOid)) return true;
  const objects = parts.git.objects(parts.repository);
  for (let at = taggedType === 'tag' ? taggedOid : undefined; at !== undefined; ) {
    const tag = await objects.readTag(at, { mailmap: false, signal: parts.signal });
    if (tag !== undefined && targets.has(tag.targetOid)) return true;
    at = tag?.targetType === 'tag' ? tag.targetOid : undefined;
  }
  return false;
}
