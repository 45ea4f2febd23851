import { AssertionError } from 'node:assert';
import type { RequestOptions } from './gitaly-client.ts';
import type { CallDetail } from './request-store.ts';

/** The part of a `GitalyClient` that counts the calls of a request. */
export interface RequestRunner {
  run<T>(work: () => T, options?: RequestOptions): T;
  callDetails(): readonly CallDetail[];
}

/** Numbers of calls that a request may make. */
export interface CallLimits {
  readonly atMost?: number;
  readonly exactly?: number;
}

/** One item, and enough items to distinguish a loop from a constant number of calls. */
const SIZES = [1, 5] as const;
/** Number of stack frames that are shown for a place. */
const FRAMES = 3;

/**
 * Runs `work` as a separate request and checks how many calls it makes. Returns its result. The
 * error is an `AssertionError` of Node, which every test runner shows, with the calls and where
 * they come from.
 *
 * `await assertGitalyCalls(gitaly, () => renderProject(project), { atMost: 3 })`
 *
 * @throws {AssertionError} for another number of calls.
 */
export async function assertGitalyCalls<T>(
  client: RequestRunner,
  work: () => T | Promise<T>,
  { atMost, exactly }: CallLimits,
): Promise<T> {
  const { result, calls } = await recorded(client, work);
  const expected = exactly ?? atMost ?? 0;
  const isRight = exactly === undefined ? calls.length <= expected : calls.length === expected;
  if (isRight) return result;
  const limit = exactly === undefined ? `at most ${expected}` : `exactly ${expected}`;
  throw failure(`expected ${limit} calls of Gitaly, but there were ${calls.length}:\n${listed(calls)}`, {
    actual: calls.length,
    expected,
  });
}

/**
 * Checks that the number of calls does not grow with the number of items: runs `work` with one item
 * and with five (`sizes`), each as a separate request.
 *
 * `await assertNoNPlus1(gitaly, (size) => renderProjects(projects.slice(0, size)))`
 *
 * Run `work` once before, if its first run fills a cache.
 *
 * @throws {AssertionError} with the calls that became more, and where they come from.
 */
export async function assertNoNPlus1(
  client: RequestRunner,
  work: (size: number) => unknown,
  { sizes = SIZES }: { readonly sizes?: readonly [few: number, many: number] } = {},
): Promise<void> {
  const [few, many] = sizes;
  const before = (await recorded(client, () => work(few))).calls;
  const after = (await recorded(client, () => work(many))).calls;
  if (after.length <= before.length) return;
  const message =
    `N+1 calls of Gitaly: ${before.length} with ${few} items, ${after.length} with ${many}. ` +
    'Request all items with one call, or mark a known loop with allowNPlus1Calls.\n' +
    `Additional calls:\n${listed(surplus(before, after))}`;
  throw failure(message, { actual: after.length, expected: before.length });
}

/** Runs `work` as a request without the limit of 30 calls, which would hide how many there are. */
async function recorded<T>(
  client: RequestRunner,
  work: () => T | Promise<T>,
): Promise<{ result: T; calls: readonly CallDetail[] }> {
  return await client.run(
    async () => {
      const result = await work();
      return { result, calls: client.callDetails() };
    },
    { keepsCallDetails: true, isLimited: false },
  );
}

/** Returns the calls of `after` beyond those of `before` from the same place. */
function surplus(before: readonly CallDetail[], after: readonly CallDetail[]): CallDetail[] {
  const known = new Map<string, number>();
  for (const call of before) known.set(placeOf(call), (known.get(placeOf(call)) ?? 0) + 1);
  return after.filter((call) => {
    const left = known.get(placeOf(call)) ?? 0;
    known.set(placeOf(call), left - 1);
    return left <= 0;
  });
}

/** Lists calls by place, the most frequent first, with the frames of the first call. */
function listed(calls: readonly CallDetail[]): string {
  const groups = Map.groupBy(calls, placeOf);
  return [...groups.values()]
    .toSorted((a, b) => b.length - a.length)
    .map((group) => `  ${group.length} × ${group[0] === undefined ? '' : described(group[0])}`)
    .join('\n');
}

/**
 * Returns the place of a call by its innermost frame. The outer ones differ between the calls of a
 * loop, depending on what was awaited before.
 */
function placeOf({ feature, backtrace }: CallDetail): string {
  return `${feature} ${backtrace[0] ?? ''}`;
}

function described({ feature, backtrace }: CallDetail): string {
  return [feature, ...backtrace.slice(0, FRAMES)].join('\n        at ');
}

function failure(
  message: string,
  { actual, expected }: { actual: number; expected: number },
): AssertionError {
  return new AssertionError({ message, actual, expected, operator: 'gitalyCalls' });
}
