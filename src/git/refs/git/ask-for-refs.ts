import { outputLines } from '#git/command/output';
import type { Arg } from '#git/command/spawner/spawner';
import { selectByName } from '#git/names/ref-patterns';
import type { ReadableRepository } from '#git/objects/readable-repository';
import type { ListedRef } from '../storage/listed-ref.ts';
import { forEachRef, maxCpuSecondsOf, type RefQuery } from './for-each-ref.ts';
import { idOf, tagsLeadingTo } from './points-at.ts';

export interface AskOptions {
  /** Includes the final targets of tag objects. */
  readonly peel?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** CPU time that git may use; default: {@link maxCpuSecondsOf}. */
  readonly maxCpuSeconds?: number | undefined;
}

const FORMAT = '%(objectname) %(refname)';
const PEELED_FORMAT = `${FORMAT}%00%(*objecttype) %(*objectname)`;
/** Matches no reference: a component of a name cannot begin with a dot. */
export const NO_PATTERN = 'refs/.';

const NUL = 0;
const SPACE = 0x20;

/**
 * Prepares a `git for-each-ref` and implements the features that older versions lack: excluding
 * references, and nested tags. Nothing is started before the result is called and iterated; `after`
 * then skips everything up to that name. Of a damaged reftable git may list names out of order:
 * skipping ends at the first of these.
 *
 * The limit of the query is not applied where features are implemented here.
 *
 * @throws {GitalyError} for words that git must not receive; {GitExitError} while iterating, when
 *   git fails.
 */
export function askForRefs(
  repository: ReadableRepository,
  query: RefQuery,
  options: AskOptions,
): (after?: Buffer) => AsyncGenerator<ListedRef[], void> {
  const { forEachRefExclude: knowsExclude, pointsAtNested } = repository.git.capabilities;
  const { limit, pointsAt = [], exclude = [], ...rest } = query;
  const pointsAtHere = !pointsAtNested && pointsAt.length > 0;
  const excludesHere = !knowsExclude && exclude.length > 0;
  const isLimited = limit !== undefined && !pointsAtHere && !excludesHere;
  const asked = { ...rest, exclude, ...(!pointsAtHere && { pointsAt }), ...(isLimited && { limit }) };
  const command = forEachRef(asked, options.peel === true || pointsAtHere ? PEELED_FORMAT : FORMAT, {
    knowsExclude,
  });
  const check = forEachRef({ patterns: [NO_PATTERN], pointsAt }, FORMAT, { knowsExclude });
  const { signal, maxCpuSeconds = maxCpuSecondsOf(query) } = options;
  const withoutExcluded = excludesHere
    ? selectByName(exclude, { ignoreCase: query.ignoreCase === true, isExcluding: true, signal })
    : undefined;
  const what = { repository, signal };

  return async function* ask(after) {
    if (pointsAtHere) await repository.run(check, { signal: options.signal });
    const isAtOne = pointsAtHere ? pointingAt(what, await idsOf(what, pointsAt)) : undefined;
    const isSkipped = skipUpTo(after);
    for await (const lines of outputLines(repository, command, { signal, maxCpuSeconds })) {
      const refs: ListedRef[] = [];
      const parsed = lines.map(parseLine);
      for (const ref of withoutExcluded === undefined ? parsed : await withoutExcluded(parsed)) {
        if (isSkipped(ref)) continue;
        if (isAtOne !== undefined && !(await isAtOne(ref))) continue;
        refs.push(await withPeeled(what, ref, options.peel === true));
      }
      if (refs.length > 0) yield refs;
    }
  };
}

function skipUpTo(after: Buffer | undefined): (ref: Line) => boolean {
  let isSkipping = after !== undefined;
  let last: Buffer | undefined;
  return ({ name }) => {
    if (!isSkipping || after === undefined) return false;
    isSkipping = name.compare(after) <= 0 && (last === undefined || last.compare(name) < 0);
    last = name;
    return isSkipping;
  };
}

interface Asked {
  readonly repository: ReadableRepository;
  readonly signal: AbortSignal | undefined;
}

interface Line {
  readonly name: Buffer;
  readonly oid: string;
  /**
   * Type of a tag object's target; empty for other objects, and if it was not requested. Older
   * versions of git follow only one tag.
   */
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

async function withPeeled(
  { repository, signal }: Asked,
  line: Line,
  isPeelKnown: boolean,
): Promise<ListedRef> {
  const { name, oid, taggedType, taggedOid } = line;
  if (!isPeelKnown || taggedOid === '') return { name, oid, peeledOid: undefined, isPeelKnown };
  if (taggedType !== 'tag') return { name, oid, peeledOid: taggedOid, isPeelKnown };
  return {
    name,
    oid,
    peeledOid: (await repository.objects.info(`${oid}^{}`, { signal }))?.oid,
    isPeelKnown,
  };
}

/** Returns the ids of the revisions that have an object. */
async function idsOf(asked: Asked, revisions: readonly Arg[]): Promise<Set<string>> {
  const ids = new Set<string>();
  for (const revision of revisions) {
    const id = await idOf(asked, revision);
    if (id !== undefined) ids.add(id);
  }
  return ids;
}

/**
 * Returns a function that reports whether a reference points at one of some objects, directly or
 * through a chain of tags.
 */
function pointingAt(asked: Asked, targets: ReadonlySet<string>): (line: Line) => Promise<boolean> {
  const leadsToOne = tagsLeadingTo(asked, targets);
  return async ({ oid, taggedOid, taggedType }) => {
    if (targets.has(oid) || targets.has(taggedOid)) return true;
    return taggedType === 'tag' && (await leadsToOne(taggedOid));
  };
}
