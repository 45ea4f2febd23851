import { invalidArgument } from '#base/gitaly-error';
import { JsonFields } from '#base/json-fields';
import type { Answer } from '../answer.ts';
import { lfsAnswer, lfsError } from './lfs-answer.ts';
import type { LfsLock, LfsLocks } from './lfs-locks.ts';
import type { LockCall } from './lfs-route.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

export interface LockRequest {
  readonly call: LockCall;
  /** Query of the address. */
  readonly query: URLSearchParams;
  readonly body: Buffer;
  /** Name of the user. */
  readonly user: string;
  readonly signal: AbortSignal;
}

/** Answers a request for locks. @see git-lfs: "File Locking API" */
export async function answerLocks(
  { body, call, query, signal, user }: LockRequest,
  locks: LfsLocks,
): Promise<Answer> {
  if (call.kind === 'locks') {
    const [path, id] = [query.get('path'), query.get('id')];
    const all = await locks.list(signal);
    const fitting = all.filter((lock) => (path ?? lock.path) === lock.path && (id ?? lock.id) === lock.id);
    const { next, shown } = pageOf(fitting, query.get('cursor'), Number(query.get('limit') ?? DEFAULT_LIMIT));
    return lfsAnswer(200, { locks: shown, ...next });
  }
  const fields = body.length === 0 ? JsonFields.NONE : JsonFields.parse(body.toString());
  if (fields === undefined) return lfsError(422, 'The body is not a JSON object.');
  if (call.kind === 'verify-locks') {
    const limit = fields.number('limit') ?? DEFAULT_LIMIT;
    const { next, shown } = pageOf(await locks.list(signal), fields.text('cursor') ?? null, limit);
    const isOurs = ({ owner }: LfsLock): boolean => owner.name === user;
    const theirs = shown.filter((lock) => !isOurs(lock));
    return lfsAnswer(200, { ours: shown.filter(isOurs), theirs, ...next });
  }
  if (call.kind === 'unlock')
    return lfsAnswer(200, {
      lock: await locks.unlock(call.id, { isForced: fields.flag('force') ?? false, owner: user }, signal),
    });
  const { isNew, lock } = await locks.lock(fields.text('path') ?? '', user, signal);
  return isNew
    ? lfsAnswer(201, { lock })
    : lfsAnswer(409, { lock, message: `${lock.owner.name} has locked it.` });
}

/**
 * Returns the locks behind a path, which need not be locked any more.
 *
 * @param cursor the path in base64url.
 */
function pageOf(all: readonly LfsLock[], cursor: string | null, limit: number) {
  const after = Buffer.from(cursor ?? '', 'base64url').toString();
  if (cursorOf(after) !== (cursor ?? '')) throw invalidArgument('the cursor is not one of this server');
  const rest = all.filter(({ path }) => path > after);
  const size = Number.isInteger(limit) && limit > 0 ? Math.min(limit, MAX_LIMIT) : DEFAULT_LIMIT;
  const shown = rest.slice(0, size);
  const last = shown.at(-1);
  return {
    shown,
    next: last !== undefined && size < rest.length ? { next_cursor: cursorOf(last.path) } : {},
  };
}

function cursorOf(path: string): string {
  return Buffer.from(path).toString('base64url');
}
