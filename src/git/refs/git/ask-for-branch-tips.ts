import { GitalyError } from '#base/gitaly-error';
import { outputLines } from '#git/command/output';
import { selectByName } from '#git/names/ref-patterns';
import { FALLBACK_SECONDS, type Signature } from '#git/objects/parse/parse-ident';
import type { GitRepository } from '#git/repository';
import type { BranchTip } from '../list/branch-tip.ts';
import { forEachRef, maxCpuSecondsOf, type RefQuery } from './for-each-ref.ts';

const FIELDS = [
  '%(objectname)',
  '%(refname)',
  '%(tree)',
  '%(parent)',
  '%(authorname)',
  '%(authoremail)',
  '%(authordate:raw)',
  '%(committername)',
  '%(committeremail)',
  '%(committerdate:raw)',
  '%(contents:subject)',
  '%(contents)',
];
/**
 * Format in which every field ends with NUL, which no field contains: git's texts end at the first
 * one.
 */
const FORMAT = FIELDS.map((field) => `${field}%00`).join('');

/** Limit of a field; no message is longer. */
const MAX_FIELD_BYTES = 256 * 1024 * 1024;
/** Dates are printed as unsigned 64-bit numbers; git's other date formats refuse negative ones. */
const MAX_SECONDS = 2n ** 63n - 1n;
/** Later dates are treated as invalid, as in commits that are read whole. */
const MAX_SENSIBLE_SECONDS = 1n << 53n;

/**
 * Prepares a `git for-each-ref` that prints references with their commits, and yields them in
 * batches as it prints them. Nothing is started before the result is called and iterated; `after`
 * then skips everything up to the reference of that name.
 *
 * @throws {GitalyError} for words that git must not receive; {GitExitError} while iterating, when
 *   git fails.
 */
export function askForBranchTips(
  repository: GitRepository,
  query: RefQuery,
  options: { readonly signal?: AbortSignal | undefined } = {},
): (after?: Buffer) => AsyncGenerator<BranchTip[], void> {
  const { forEachRefExclude: knowsExclude } = repository.git.capabilities;
  const command = forEachRef(query, FORMAT, { knowsExclude });
  const withoutExcluded =
    knowsExclude || !query.exclude?.length
      ? undefined
      : selectByName(query.exclude, { isExcluding: true, signal: options.signal });
  return async function* ask(after) {
    const fields = outputLines(repository, command, {
      ...options,
      delimiter: NUL,
      maxLineBytes: MAX_FIELD_BYTES,
      maxCpuSeconds: maxCpuSecondsOf(query),
    });
    let isBehind = after === undefined;
    for await (const tips of parseTips(fields)) {
      const wanted = withoutExcluded === undefined ? tips : await withoutExcluded(tips);
      const start = isBehind ? 0 : wanted.findIndex(({ name }) => after?.equals(name)) + 1;
      isBehind ||= start > 0;
      if (isBehind && wanted.length > start) yield start === 0 ? wanted : wanted.slice(start);
    }
    if (!isBehind) throw new GitalyError('UNKNOWN', 'a reference was deleted while references were listed');
  };
}

/** Combines fields to branches. Exported for its test. */
export async function* parseTips(
  batches: AsyncIterable<readonly Buffer[]>,
): AsyncGenerator<BranchTip[], void> {
  let held: readonly Buffer[] = [];
  for await (const batch of batches) {
    const fields = held.length === 0 ? batch : [...held, ...batch];
    const tips: BranchTip[] = [];
    let at = 0;
    for (; fields.length - at >= FIELDS.length; at += FIELDS.length) tips.push(parseTip(fields, at));
    held = fields.slice(at);
    if (tips.length > 0) yield tips;
  }
}

const NUL = 0;
const NOTHING = Buffer.alloc(0);

function parseTip(fields: readonly Buffer[], start: number): BranchTip {
  const field = (index: number): Buffer => fields[start + index] ?? NOTHING;
  const parents = field(3);
  return {
    // Every record but the first begins with the line feed that ends the previous one.
    oid: field(0).toString('latin1').trimStart(),
    name: field(1),
    treeOid: field(2).toString('latin1'),
    parentOids: parents.length === 0 ? [] : parents.toString('latin1').split(' '),
    author: parsePerson(field(4), field(5), field(6)),
    committer: parsePerson(field(7), field(8), field(9)),
    subject: field(10),
    body: field(11),
  };
}

function parsePerson(name: Buffer, email: Buffer, date: Buffer): Signature {
  // A commit without a date has an empty one.
  const space = date.indexOf(0x20);
  return {
    name,
    email: withoutBrackets(email),
    seconds: parseSeconds(date.toString('latin1', 0, space)),
    timezone: date.subarray(space + 1),
  };
}

function withoutBrackets(email: Buffer): Buffer {
  let start = 0;
  let end = email.length;
  while (start < end && isBracket(email[start])) start++;
  while (end > start && isBracket(email[end - 1])) end--;
  return email.subarray(start, end);
}

function isBracket(byte: number | undefined): boolean {
  return byte === 0x3c || byte === 0x3e;
}

/** Parses a date. @throws {GitalyError} without a code, for a negative date. */
function parseSeconds(text: string): bigint {
  if (!/^\d+$/.test(text)) return FALLBACK_SECONDS;
  const seconds = BigInt(text);
  if (seconds > MAX_SECONDS) throw new GitalyError('UNKNOWN', 'listing failed with exit code 128');
  return seconds > MAX_SENSIBLE_SECONDS ? FALLBACK_SECONDS : seconds;
}
