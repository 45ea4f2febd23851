import type { IncomingHttpHeaders } from 'node:http';
import type { CallOptions } from '#client/call/call-types';
import { typedError } from '#client/repository/errors';
import { type Commit, ReferenceChangedError, type Repository } from '#client/repository/index';
import type { Place } from '#client/repository/place';
import { Problem } from '../problems.ts';

const ETAG = /^"([0-9a-f]{40}|[0-9a-f]{64})"$/;

/** Returns the object id of `If-Match`; `undefined` without the header. @throws {Problem} */
export function ifMatch({ 'if-match': header }: IncomingHttpHeaders): string | undefined {
  if (header === undefined) return undefined;
  const id = ETAG.exec(header.trim())?.[1];
  if (id === undefined)
    throw new Problem('invalid-request', 400, 'If-Match must be one object id in quotes.');
  return id;
}

/** Returns the commit at a revision. @throws {Problem} without one. */
export async function requireCommit(
  repository: Repository,
  asked: string,
  options: CallOptions,
): Promise<Commit> {
  const commit = await repository.findCommit(asked, options);
  if (commit === undefined) throw new Problem('not-found', 404, `There is no commit ${asked}.`);
  return commit;
}

/** Returns the id of a commit. @throws as {@link requireCommit} */
export async function commitId(
  repository: Repository,
  asked: string | undefined,
  options: CallOptions,
): Promise<string> {
  return (await requireCommit(repository, asked ?? 'HEAD', options)).id;
}

/** Returns the value that a reference must have, of the body or of `If-Match`. @throws {Problem} */
export function expectedValue(
  expected: string | undefined,
  headers: IncomingHttpHeaders,
): string | undefined {
  const matched = ifMatch(headers);
  if (expected !== undefined && matched !== undefined && expected !== matched)
    throw new Problem('invalid-request', 400, '`expected` and If-Match name different values.');
  return expected ?? matched;
}

export interface FoundReference {
  readonly name: Buffer;
  readonly target: string;
  /** Object that an annotated tag ends at. */
  readonly peeled: string | undefined;
}

/** Reads a reference by its full name; `undefined` if there is none. @throws {Problem} */
export async function readReference(
  { connection, repository }: Pick<Place, 'connection' | 'repository'>,
  name: Uint8Array,
  options: CallOptions,
): Promise<FoundReference | undefined> {
  const request = { repository, patterns: [escaped(name)], peelTags: true };
  for await (const { references } of connection.ref.listRefs(request, options))
    for (const reference of references)
      if (Buffer.from(name).equals(reference.name))
        return {
          name: Buffer.from(reference.name),
          target: reference.target,
          peeled: reference.peeledTarget === '' ? undefined : reference.peeledTarget,
        };
  return undefined;
}

const REFS = Buffer.from('refs/');
const SPECIAL = new Set([0x2a, 0x3f, 0x5b, 0x5c]);

/** Returns a pattern that matches only the name: names contain none of these characters. */
function escaped(name: Uint8Array): Uint8Array {
  if (!REFS.equals(name.subarray(0, REFS.length)) || name.some((byte) => SPECIAL.has(byte)))
    throw new Problem('not-found', 404, 'There is no such reference.');
  return name;
}

/** A change of a reference, which may have to be at a value. */
export interface ExpectedChange {
  readonly place: Pick<Place, 'connection' | 'repository'>;
  /** Full name. */
  readonly reference: string;
  readonly expected: string | undefined;
  readonly options: CallOptions;
}

/**
 * Awaits a change. If it fails because the reference has moved, the problem has the value of now:
 * other failures may be consequences, such as a file that is not there any more.
 */
export async function unlessMoved<T>(
  change: Promise<T>,
  { expected, options, place, reference }: ExpectedChange,
): Promise<T> {
  try {
    return await change;
  } catch (thrown) {
    const error = typedError(thrown);
    const hasMoved = error instanceof ReferenceChangedError;
    if ((!hasMoved && expected === undefined) || options.signal?.aborted === true) throw error;
    const current = await readReference(place, Buffer.from(reference), options).catch(() => undefined);
    if (!hasMoved && current?.target === expected) throw error;
    throw movedProblem(reference, current, error);
  }
}

export function movedProblem(
  reference: string,
  current: FoundReference | undefined,
  cause?: unknown,
): Problem {
  const where = current === undefined ? 'does not exist' : `is at ${current.target}`;
  const facts = { reference, current: current?.target ?? null };
  const detail = `${reference} ${where} now. Read it, and repeat the request.`;
  return new Problem('reference-changed', 409, detail, { cause, facts });
}
