import assert from 'node:assert/strict';
import type { RunResult } from '#testkit/run-program';
import type { Change, Person, Team, Transport, Workshop } from './team.ts';

/** A refusal that the access log must have. */
export interface Refusal {
  readonly user: Person;
  readonly repository: string;
  readonly reason: RegExp;
}

/** Contents that a repository must have. */
export interface Expected {
  readonly references: Map<string, string>;
  head: string;
}

interface Push {
  readonly by: Person;
  readonly to: string;
  readonly reference: string;
  /** The pushed commit; `undefined` removes the reference. */
  readonly commit: string | undefined;
  readonly isForced?: boolean;
}

export const APP = 'team/app';
export const MAIN = 'refs/heads/main';
const LARGEST_BYTES = 20_000;
const RULES = {
  protected: [{ on: MAIN, create: ['ann', 'bob'], update: ['ann', 'bob'], force: [], delete: [] }],
  paths: [{ paths: ['deploy/'], except: ['ann'] }],
  largestFile: [{ bytes: LARGEST_BYTES }],
  message: [{ on: MAIN, pattern: '^[A-Z]' }],
};
/** A push to `main` that a rule refuses. */
interface BrokenRule {
  readonly by: Person;
  /** The wrong part of a commit; `undefined` removes the branch. */
  readonly change: Partial<Change> | undefined;
  readonly isForced?: boolean;
  readonly reason: RegExp;
}

const BROKEN_RULES: readonly BrokenRule[] = [
  {
    by: 'ci',
    change: {},
    reason: /: rule 1 of "protected" of the repository does not allow ci to update it/,
  },
  {
    by: 'bob',
    change: { parent: undefined },
    isForced: true,
    reason: /: rule 1 of "protected" of the repository does not allow bob to replace commits/,
  },
  {
    by: 'ann',
    change: undefined,
    reason: /: rule 1 of "protected" of the repository does not allow ann to delete it/,
  },
  { by: 'bob', change: { path: 'deploy/run' }, reason: /: rule 1 of "paths" of the repository/ },
  {
    by: 'ann',
    change: { content: 'x'.repeat(LARGEST_BYTES + 1) },
    reason: /: rule 1 of "largestFile" of the repository/,
  },
  { by: 'ann', change: { message: 'small letters' }, reason: /: rule 1 of "message" of the repository/ },
];
const NOT_TO_WRITE = /^You may (?:read this repository, but not push to it|not write this repository)\.$/;
const HIDDEN = /^(?:not readable for this person|There is no such repository\. Check the address\.)$/;
/** Pushes by people without the right. What they may not read does not exist for them. */
const NOT_ALLOWED = [
  ['rita', APP, NOT_TO_WRITE],
  ['rita', 'docs/guide', NOT_TO_WRITE],
  ['rita', 'private/plans', HIDDEN],
  ['eve', APP, HIDDEN],
  ['eve', 'team/other', HIDDEN],
  ['bob', 'private/plans', HIDDEN],
  ['bob', 'docs/guide', HIDDEN],
  ['ci', 'team/web', HIDDEN],
  ['ci', 'team/apple', HIDDEN],
] as const;
const OPERATIONS_A_DAY = 5;

/** The work of five people: real pushes, and a model of what the server has accepted and refused. */
export class Weeks {
  readonly refusals: Refusal[] = [];
  repositories = new Map<string, Expected>();
  readonly #team: Team;
  readonly #workshop: Workshop;
  readonly #random: () => number;
  #number = 0;

  constructor(team: Team, workshop: Workshop, random: () => number) {
    this.#team = team;
    this.#workshop = workshop;
    this.#random = random;
  }

  /** The first day: repositories are created by pushes, and get their rules. */
  async begin(): Promise<void> {
    await this.#create('ann', 'private/plans');
    await this.#create('bob', APP);
    await this.#create('bob', 'team/site');
    await this.#create('eve', 'docs/guide');
    const rules = this.#team.server.give('rules.json', JSON.stringify(RULES));
    await this.#did('rules', APP, '--set', rules);
  }

  /** Some pushes and refused pushes, by chance. */
  async day(): Promise<void> {
    const works = [
      () => this.#work('bob', APP, MAIN, 'Change'),
      () => this.#work('ann', APP, MAIN, 'Review'),
      () => this.#work('bob', APP, this.#branch('bob'), 'change'),
      () => this.#work('ci', APP, this.#branch('ci'), 'build'),
      () => this.#work('eve', 'docs/guide', MAIN, 'page'),
      () => this.#rewrite(),
      () => this.#removeBranch(),
      () => this.#create('bob', `team/new-${this.#number}`),
      () => this.#refuseForRights(this.#one(NOT_ALLOWED)),
      () => this.#refuseForRules(this.#one(BROKEN_RULES)),
    ];
    for (let index = 0; index < OPERATIONS_A_DAY; index++) await this.#one(works)();
  }

  /** Changes repositories as administrators do, by SSH and by commands. */
  async administer(): Promise<void> {
    await this.#work('bob', APP, 'refs/heads/next', 'next');
    await this.#done(await this.#team.ssh('ann', 'repo', 'default-branch', APP, 'next'));
    this.#expected(APP).head = 'refs/heads/next';
    await this.#done(await this.#team.ssh('ann', 'repo', 'rename', 'team/site', 'team/web'));
    this.repositories.set('team/web', this.#expected('team/site'));
    this.repositories.delete('team/site');
    await this.#create('eve', 'docs/old');
    await this.#done(await this.#team.ssh('ann', 'repo', 'remove', 'docs/old', '--yes'));
    this.repositories.delete('docs/old');
    await this.#did('fork', APP, 'forks/app');
    this.repositories.set('forks/app', copyOf(this.#expected(APP)));
    await this.#work('bob', 'forks/app', MAIN, 'forked');
    for (const words of [
      ['default-branch', APP, 'main'],
      ['rename', APP, 'team/mine'],
      ['remove', APP, '--yes'],
    ])
      assert.equal((await this.#team.ssh('bob', 'repo', ...words)).code, 1, words.join(' '));
  }

  /** Tries to push to a mirror. */
  async refuseForMirror(to: string): Promise<void> {
    const commit = await this.#commit(undefined, 'Not allowed');
    await this.#refuse(
      { by: 'ann', to, reference: 'refs/heads/mine', commit },
      /"readOnly".*: it is a mirror of http/,
    );
  }

  /** Returns a copy of what all repositories must contain. */
  snapshot(): Map<string, Expected> {
    return new Map([...this.repositories].map(([name, expected]) => [name, copyOf(expected)]));
  }

  /** Pushes a new commit, which must be accepted. */
  async #work(by: Person, to: string, reference: string, message: string): Promise<void> {
    const { references } = this.#expected(to);
    await this.#push({ by, to, reference, commit: await this.#commit(references.get(reference), message) });
  }

  async #create(by: Person, name: string): Promise<void> {
    this.repositories.set(name, { references: new Map(), head: MAIN });
    await this.#work(by, name, MAIN, 'First');
  }

  /** Replaces a branch by another history. */
  async #rewrite(): Promise<void> {
    const reference = this.#branch('bob');
    const commit = await this.#commit(undefined, 'rewritten');
    await this.#push({ by: 'bob', to: APP, reference, commit, isForced: true });
  }

  async #removeBranch(): Promise<void> {
    const { references } = this.#expected(APP);
    const branches = [...references.keys()].filter((name) => name.includes('/bob/') || name.includes('/ci/'));
    if (branches.length === 0) return await this.#rewrite();
    await this.#push({ by: 'bob', to: APP, reference: this.#one(branches), commit: undefined });
  }

  /** Tries once everything that is not allowed. */
  async refuseEach(): Promise<void> {
    for (const wrong of NOT_ALLOWED) await this.#refuseForRights(wrong);
    for (const wrong of BROKEN_RULES) await this.#refuseForRules(wrong);
  }

  async #refuseForRights([by, to, reason]: (typeof NOT_ALLOWED)[number]): Promise<void> {
    const commit = await this.#commit(undefined, 'Not allowed');
    await this.#refuse({ by, to, reference: this.#branch('wrong'), commit }, reason);
  }

  async #refuseForRules({ by, change, isForced = false, reason }: BrokenRule): Promise<void> {
    const parent = this.#expected(APP).references.get(MAIN);
    const fine = { parent, path: 'file', content: `${this.#number++}\n`, message: 'Fine' };
    const commit = change && (await this.#workshop.commit({ ...fine, ...change }));
    await this.#refuse({ by, to: APP, reference: MAIN, commit, isForced }, reason);
  }

  async #push(push: Push): Promise<void> {
    await this.#done(await this.#send(push));
    const { references } = this.#expected(push.to);
    if (push.commit === undefined) references.delete(push.reference);
    else references.set(push.reference, push.commit);
  }

  async #refuse(push: Push, reason: RegExp): Promise<void> {
    const { code } = await this.#send(push);
    assert.notEqual(code, 0, `${push.by} may not push to ${push.reference} of ${push.to}`);
    this.refusals.push({ user: push.by, repository: `${push.to}.git`, reason });
  }

  async #send({ by, commit = '', isForced = false, reference, to }: Push): Promise<RunResult> {
    const transport: Transport = this.#one(this.#team.transports(by));
    const url = this.#team.url(by, transport, to);
    const change = `${isForced ? '+' : ''}${commit}:${reference}`;
    return await this.#team.git(by, '-C', this.#workshop.path, 'push', '--quiet', url, change);
  }

  async #commit(parent: string | undefined, message: string): Promise<string> {
    const number = this.#number++;
    const path = parent === undefined ? 'file' : this.#one(['file', 'src/main', 'src/deep/er']);
    return await this.#workshop.commit({ parent, path, content: `${number}\n`.repeat(20), message });
  }

  #branch(of: string): string {
    return `refs/heads/${of}/${Math.floor(this.#random() * 4)}`;
  }

  #one<T>(list: readonly T[]): T {
    const chosen = list[Math.floor(this.#random() * list.length)];
    assert.ok(chosen !== undefined);
    return chosen;
  }

  #expected(name: string): Expected {
    const expected = this.repositories.get(name);
    assert.ok(expected !== undefined, name);
    return expected;
  }

  async #did(...args: string[]): Promise<string> {
    return await this.#team.server.did('repo', ...args, '--to', this.#team.server.data);
  }

  async #done({ code, stderr }: RunResult): Promise<void> {
    assert.equal(code, 0, stderr);
  }
}

export function copyOf({ head, references }: Expected): Expected {
  return { head, references: new Map(references) };
}
