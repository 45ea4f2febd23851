import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { seededRandom } from '#testkit/repositories/random-history';
import { testSeed } from '#testkit/test-seed';
import { type ModelCommit, type ModelPush, type ModelRules, refusingKinds } from './rules-model.ts';
import { RulesSite } from './rules-site.ts';

const USERS = ['alice', 'bob', 'carol'];
const REFERENCES = [
  'refs/heads/main',
  'refs/heads/a/b',
  'refs/heads/a/c',
  'refs/heads/release-1',
  'refs/tags/v1',
];
const PATTERNS = [
  'refs/heads/main',
  'refs/heads/a/*',
  'refs/**',
  'refs/tags/**',
  'refs/heads/*',
  'refs/heads/**-1',
];
const DIRECTORIES = ['docs', 'src', 'src/deep'];
const HEAD = 'refs/heads/main';
const PUSHES = 84;
const RULES_EVERY = 12;
const NO_RULES: ModelRules = { protected: [], paths: [], largestFile: [], message: [] };
/**
 * The first rules, so that some pushes are accepted and some refused whatever the others are:
 * nothing is forbidden, and then everything.
 */
const FIRST_RULES: readonly ModelRules[] = [
  NO_RULES,
  { ...NO_RULES, protected: [{ on: 'refs/**', create: [], update: [], force: [], delete: [] }] },
];

/** Random choices of a seed. */
class Choices {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  of<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.#random() * items.length)];
    assert.ok(item !== undefined);
    return item;
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  some<T>(items: readonly T[]): T[] {
    return items.filter(() => this.chance(0.5));
  }
}

function randomRules(choices: Choices): ModelRules {
  const list = <T>(make: () => T): T[] =>
    choices.chance(0.6) ? [make(), ...(choices.chance(0.4) ? [make()] : [])] : [];
  const on = () => choices.of(PATTERNS);
  const except = () => choices.some(USERS);
  const names = () => (choices.chance(0.3) ? '*' : choices.some(USERS));
  const action = (name: string) => (choices.chance(0.6) ? { [name]: names() } : {});
  return {
    protected: list(() => ({
      on: on(),
      ...action('create'),
      ...action('update'),
      ...action('force'),
      ...action('delete'),
    })),
    paths: list(() => ({
      on: on(),
      paths: [`${choices.of(DIRECTORIES)}${choices.of(['', '/'])}`],
      except: except(),
    })),
    largestFile: list(() => ({ on: on(), bytes: choices.of([10, 100]), except: except() })),
    message: list(() => ({ on: on(), pattern: choices.of(['^[A-Z]+-[0-9]+: ', 'fix']), except: except() })),
  };
}

/** Makes commits in a work tree without checking anything out. */
class Commits {
  readonly all: ModelCommit[] = [];
  readonly #site: RulesSite;
  readonly #choices: Choices;

  constructor(site: RulesSite, choices: Choices) {
    this.#site = site;
    this.#choices = choices;
  }

  async make(): Promise<ModelCommit> {
    const choices = this.#choices;
    const parents = this.all.length === 0 ? [] : [choices.of(this.all)];
    const other = this.all.length === 0 ? undefined : choices.of(this.all);
    const isMerge = other !== undefined && other !== parents[0] && choices.chance(0.2);
    const made = isMerge ? await this.#merge([...parents, other]) : await this.#change(parents);
    this.all.push(made);
    return made;
  }

  /** A clean merge: every commit has files of its own. It changes nothing itself. */
  async #merge(parents: readonly ModelCommit[]): Promise<ModelCommit> {
    const [tree = ''] = (
      await this.#git(
        'merge-tree',
        '--write-tree',
        '--allow-unrelated-histories',
        ...parents.map(({ oid }) => oid),
      )
    ).split('\n');
    return await this.#commit(tree, { parents, path: '', bytes: 0 });
  }

  async #change(parents: readonly ModelCommit[]): Promise<ModelCommit> {
    const choices = this.#choices;
    const path = `${choices.of(['', ...DIRECTORIES.map((name) => `${name}/`)])}f${this.all.length}`;
    const bytes = choices.of([1, 50, 500]);
    writeFileSync(
      join(this.#site.directory, 'file'),
      `${this.all.length}`.padEnd(bytes, 'x').slice(0, Math.max(bytes, 3)),
    );
    const blob = await this.#git('hash-object', '-w', join(this.#site.directory, 'file'));
    await this.#git('read-tree', ...(parents.length === 0 ? ['--empty'] : parents.map(({ oid }) => oid)));
    await this.#git('update-index', '--add', '--cacheinfo', `100644,${blob},${path}`);
    return await this.#commit(await this.#git('write-tree'), { parents, path, bytes: Math.max(bytes, 3) });
  }

  /** Each message is another one: two merges of the same commits would be one object. */
  async #commit(tree: string, facts: Omit<ModelCommit, 'oid' | 'message'>): Promise<ModelCommit> {
    const message = this.#choices.of([
      `GIT-${this.all.length}: change`,
      `fix ${this.all.length}`,
      `Other ${this.all.length}\n\nGIT-1: in the body`,
    ]);
    const parents = facts.parents.flatMap(({ oid }) => ['-p', oid]);
    const oid = await this.#git('commit-tree', tree, ...parents, '-m', message);
    return { ...facts, oid, message: `${message}\n` };
  }

  #git(...args: string[]): Promise<string> {
    return this.#site.ok('-C', this.#site.work, ...args);
  }
}

test('random pushes are accepted and refused as the model says', async () => {
  const seed = testSeed();
  const choices = new Choices(seed);
  await using site = await RulesSite.open();
  const commits = new Commits(site, choices);
  const state = new Map<string, ModelCommit>([[HEAD, await commits.make()]]);
  await site.push('alice', `${commits.all[0]?.oid}:${HEAD}`);
  let [refused, accepted] = [0, 0];
  let rules = NO_RULES;
  for (let number = 0; number < PUSHES; number++) {
    if (number % RULES_EVERY === 0) {
      rules = FIRST_RULES[number / RULES_EVERY] ?? randomRules(choices);
      await site.rule(rules);
    }
    const reference = choices.of(REFERENCES);
    const before = state.get(reference);
    const isDeletion = before !== undefined && reference !== HEAD && choices.chance(0.15);
    const after = isDeletion
      ? undefined
      : choices.chance(0.3)
        ? choices.of(commits.all)
        : await commits.make();
    if (after === before) continue;
    const head = { reference: HEAD, commit: state.get(HEAD) };
    const push: ModelPush = { user: choices.of(USERS), reference, before, after, head };

    const result = await site.push(push.user, '--force', `${after?.oid ?? ''}:${reference}`);

    const kinds = refusingKinds(rules, push);
    const what = `seed ${seed}, push ${number}: ${push.user} ${reference} ${JSON.stringify(rules)}`;
    const words = `${what}\n${result.stderr}`;
    assert.equal(result.code === 0, kinds.length === 0, `${kinds.join()} ${words}`);
    if (kinds.length === 0) {
      accepted++;
      if (after === undefined) state.delete(reference);
      else state.set(reference, after);
    } else {
      refused++;
      assert.match(
        result.stderr,
        new RegExp(`${reference}: rule [0-9]+ of "(?:${kinds.join('|')})" of the repository`),
        words,
      );
    }
  }
  assert.ok(accepted > 5 && refused > 5, `seed ${seed}: ${accepted} accepted, ${refused} refused`);
});
