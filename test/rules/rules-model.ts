/**
 * The rules of docs/rules.md, written apart from the server: from the words of the page, on plain
 * data, without git.
 */

/** A commit that the test has made. */
export interface ModelCommit {
  readonly oid: string;
  readonly parents: readonly ModelCommit[];
  readonly path: string;
  readonly bytes: number;
  readonly message: string;
}

export interface ModelRules {
  readonly protected: readonly {
    readonly on: string;
    readonly create?: readonly string[] | '*';
    readonly update?: readonly string[] | '*';
    readonly force?: readonly string[] | '*';
    readonly delete?: readonly string[] | '*';
  }[];
  readonly paths: readonly Except<{ readonly paths: readonly string[] }>[];
  readonly largestFile: readonly Except<{ readonly bytes: number }>[];
  readonly message: readonly Except<{ readonly pattern: string }>[];
}

type Except<T> = T & { readonly on: string; readonly except: readonly string[] };

/** A push of one reference. */
export interface ModelPush {
  readonly user: string;
  readonly reference: string;
  readonly before: ModelCommit | undefined;
  readonly after: ModelCommit | undefined;
  readonly head: { readonly reference: string; readonly commit: ModelCommit | undefined };
}

/** Returns the kinds of rules that refuse a push. */
export function refusingKinds(rules: ModelRules, push: ModelPush): string[] {
  const { after, reference, user } = push;
  const action = actionOf(push);
  const isProtected = rules.protected.some((rule) => {
    if (!covers(rule.on, reference)) return false;
    const mayForce = allows(rule.force, user);
    return !(allows(rule[action], user) || (action === 'update' && mayForce));
  });
  const breaks = <R extends Except<object>>(
    all: readonly R[],
    isBroken: (rule: R, commit: ModelCommit) => boolean,
  ) =>
    after !== undefined &&
    all.some(
      (rule) =>
        covers(rule.on, reference) &&
        !rule.except.includes(user) &&
        newCommits(push, after, covers(rule.on, push.head.reference)).some((commit) =>
          isBroken(rule, commit),
        ),
    );
  return [
    ...(isProtected ? ['protected'] : []),
    ...(breaks(rules.paths, ({ paths }, { path }) =>
      paths.some((one) => path === one || path.startsWith(slashed(one))),
    )
      ? ['paths']
      : []),
    ...(breaks(rules.largestFile, ({ bytes }, commit) => commit.bytes > bytes) ? ['largestFile'] : []),
    ...(breaks(rules.message, ({ pattern }, { message }) => !new RegExp(pattern).test(message))
      ? ['message']
      : []),
  ];
}

function slashed(path: string): string {
  return path.endsWith('/') ? path : `${path}/`;
}

function actionOf({ after, before, reference }: ModelPush): 'create' | 'update' | 'force' | 'delete' {
  if (after === undefined) return 'delete';
  if (before === undefined) return 'create';
  if (reference.startsWith('refs/tags/')) return 'force';
  return historyOf(after).has(before) ? 'update' : 'force';
}

function allows(names: readonly string[] | '*' | undefined, user: string): boolean {
  return names === undefined || names === '*' || names.includes(user);
}

/** `*` is any part of a name, `**` any path. */
function covers(pattern: string, name: string): boolean {
  if (pattern === '') return name === '';
  if (pattern.startsWith('**'))
    return covers(pattern.slice(2), name) || (name !== '' && covers(pattern, name.slice(1)));
  if (pattern.startsWith('*'))
    return covers(pattern.slice(1), name) || (/^[^/]/.test(name) && covers(pattern, name.slice(1)));
  return pattern[0] === name[0] && covers(pattern.slice(1), name.slice(1));
}

function newCommits({ before, head }: ModelPush, after: ModelCommit, isHeadCovered: boolean): ModelCommit[] {
  const known = new Set<ModelCommit>();
  if (before !== undefined) for (const commit of historyOf(before)) known.add(commit);
  if (head.commit !== undefined && (before === undefined || isHeadCovered))
    for (const commit of historyOf(head.commit)) known.add(commit);
  return [...historyOf(after)].filter((commit) => !known.has(commit));
}

function historyOf(tip: ModelCommit): Set<ModelCommit> {
  const found = new Set([tip]);
  for (const commit of found) for (const parent of commit.parents) found.add(parent);
  return found;
}
