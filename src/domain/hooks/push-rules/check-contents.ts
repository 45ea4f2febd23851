import { LoopSlice } from '#base/async/loop-turns';
import { flag, gitCommand, joined } from '#git/command/git-command';
import { outputLines } from '#git/command/output';
import { isZeroOid } from '#git/names/object-id';
import { type MessageRule, messageExpression, type PathRule, type SizeRule } from '#tokens/content-rules';
import { applying, type ExceptRestriction } from '#tokens/restriction';
import { movedReference, refusal } from './moved-reference.ts';
import { headOf, knownCommits, MAX_CPU_SECONDS, newCommits, type PushedCommit } from './new-commits.ts';
import type { PushChanges } from './push-changes.ts';
import { refusedPath } from './refused-path.ts';

/** A rule that applies to a change. */
export interface Applying<R> {
  readonly number: number;
  readonly rule: R;
}

/** A refused content; the reason follows "does not allow". */
interface Violation {
  readonly number: number;
  readonly reason: string;
}

/** Searches what is new for what rules forbid. */
type Inspect<R> = (
  rules: readonly Applying<R>[],
  push: PushChanges,
  revisions: readonly string[],
) => Promise<Violation | undefined>;

/** Changes with the same rules and known commits, which are searched at once. */
interface Group<R> {
  readonly found: readonly Applying<R>[];
  readonly known: readonly string[];
  readonly changes: { readonly newOid: string; readonly shown: string }[];
}

/** Limit of the arguments of one search. */
const MAX_SEARCHED = 500;

/** Returns the check of a kind of rules for what new commits contain. */
function contentCheck<R extends ExceptRestriction>(kind: string, inspect: Inspect<R>) {
  return async (rules: readonly R[] = [], push: PushChanges): Promise<void> => {
    for (const { changes, found, known } of await grouped(rules, push))
      for (let start = 0; start < changes.length; start += MAX_SEARCHED) {
        const broken = await firstBroken(changes.slice(start, start + MAX_SEARCHED), (some) =>
          inspect(found, push, [...some.map(({ newOid }) => newOid), ...known]),
        );
        if (broken === undefined) continue;
        const { change, violation } = broken;
        const rule = `rule ${violation.number} of "${kind}" of the ${push.owner}`;
        throw refusal(change.shown, `${rule} does not allow ${violation.reason}`);
      }
  };
}

async function grouped<R extends ExceptRestriction>(
  rules: readonly R[],
  push: PushChanges,
): Promise<Iterable<Group<R>>> {
  const slice = new LoopSlice();
  const head = await headOf(push);
  const groups = new Map<string, Group<R>>();
  for (const change of push.changes) {
    await slice.pause(push.signal);
    if (isZeroOid(change.newOid)) continue;
    const { reference, shown } = await movedReference(push, change);
    const applied = Map.groupBy(applying(rules, { reference, user: push.user }), ({ rule }) =>
      knownCommits(head, change, rule.on).join(' '),
    );
    for (const [known, found] of applied) {
      const key = `${known} ${found.map(({ number }) => number).join()}`;
      const group: Group<R> = groups.get(key) ?? {
        found,
        known: known.split(' ').filter(Boolean),
        changes: [],
      };
      group.changes.push({ newOid: change.newOid, shown });
      groups.set(key, group);
    }
  }
  return groups.values();
}

/** Returns a change that breaks a rule, found by halves; `undefined` if none does. */
async function firstBroken<C>(
  changes: readonly C[],
  search: (some: readonly C[]) => Promise<Violation | undefined>,
): Promise<{ readonly change: C; readonly violation: Violation } | undefined> {
  const violation = await search(changes);
  const [change] = changes;
  if (violation === undefined || change === undefined) return undefined;
  if (changes.length === 1) return { change, violation };
  const middle = Math.ceil(changes.length / 2);
  return (
    (await firstBroken(changes.slice(0, middle), search)) ??
    (await firstBroken(changes.slice(middle), search))
  );
}

export const checkPaths = contentCheck<PathRule>('paths', async (rules, push, revisions) => {
  const index = new PathIndex(rules);
  let number: number | undefined;
  const isRefused = (path: string): boolean => {
    number = index.find(path);
    return number !== undefined;
  };
  const reason = await refusedPath(push, { revisions, isRefused });
  return reason === undefined ? undefined : { number: number ?? rules[0]?.number ?? 0, reason };
});

export const checkLargestFile = contentCheck<SizeRule>('largestFile', async (rules, push, revisions) => {
  const { number, rule } = rules.reduce((least, one) => (one.rule.bytes < least.rule.bytes ? one : least));
  const { repository, signal } = push;
  const options = [
    ...['--objects', '--filter-print-omitted', '--filter-provided-objects'].map(flag),
    joined('--filter', `blob:limit=${rule.bytes + 1}`),
  ];
  const command = gitCommand('rev-list', { options, revisions });
  for await (const lines of outputLines(repository, command, { signal, maxCpuSeconds: MAX_CPU_SECONDS })) {
    const omitted = lines.find((line) => line[0] === TILDE)?.toString('latin1', 1);
    if (omitted !== undefined)
      return { number, reason: `files above ${rule.bytes} bytes: ${await nameOf(push, revisions, omitted)}` };
  }
  return undefined;
});

const TILDE = 0x7e;

/** Returns the path of a new file, or its id if it has none. */
async function nameOf(
  { repository, signal }: PushChanges,
  revisions: readonly string[],
  oid: string,
): Promise<string> {
  const command = gitCommand('rev-list', { options: [flag('--objects')], revisions });
  for await (const lines of outputLines(repository, command, { signal, maxCpuSeconds: MAX_CPU_SECONDS })) {
    const line = lines.find((each) => each.toString('latin1', 0, oid.length) === oid)?.toString();
    const path = line?.slice(oid.length + 1) ?? '';
    if (line !== undefined) return path === '' ? oid : JSON.stringify(path);
  }
  return oid;
}

export const checkSignature = contentCheck('signature', (rules, push, revisions) =>
  firstCommit(push, revisions, async ({ header, oid }) =>
    /^gpgsig(?:-sha256)? /m.test(header)
      ? undefined
      : { number: rules[0]?.number ?? 0, reason: `commits without a signature: ${oid}` },
  ),
);

/** Longer messages are cut for the expression. */
const MAX_MESSAGE_CHARACTERS = 65_536;

export const checkMessage = contentCheck<MessageRule>('message', (rules, push, revisions) =>
  firstCommit(push, revisions, async ({ message, oid }) => {
    const text = message.slice(0, MAX_MESSAGE_CHARACTERS);
    for (const { number, rule } of rules)
      if (!(await messageExpression(rule.pattern)).test(text))
        return { number, reason: `the message of ${oid}: it does not match ${rule.pattern}` };
    return undefined;
  }),
);

async function firstCommit(
  push: PushChanges,
  revisions: readonly string[],
  violationOf: (commit: PushedCommit) => Promise<Violation | undefined>,
): Promise<Violation | undefined> {
  const slice = new LoopSlice();
  for await (const commit of newCommits(push, revisions)) {
    const violation = await violationOf(commit);
    if (violation !== undefined) return violation;
    await slice.pause(push.signal);
  }
  return undefined;
}

/** The paths of rules. A search takes as many steps as a path has parts, however many rules there are. */
class PathIndex {
  /** Numbers of rules by file or directory; a name that ends in `/` is only a directory. */
  readonly #numbers = new Map<string, number>();

  constructor(rules: readonly { readonly number: number; readonly rule: PathRule }[]) {
    for (const { number, rule } of rules)
      for (const path of rule.paths) if (!this.#numbers.has(path)) this.#numbers.set(path, number);
  }

  /** Returns the number of a rule for a file, or for a directory with it; `undefined` for none. */
  find(path: string): number | undefined {
    for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) {
      const directory = this.#numbers.get(path.slice(0, end + 1)) ?? this.#numbers.get(path.slice(0, end));
      if (directory !== undefined) return directory;
    }
    return this.#numbers.get(path);
  }
}
