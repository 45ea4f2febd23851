import { checkNames, type NamesOf } from '#base/check-names';
import { gitBytes } from './repositories/git-bytes.ts';
import {
  type Bytes,
  commitStream,
  type FileChange,
  type Person,
  tagStream,
} from './repositories/import-stream.ts';

/** A commit to create. */
export interface NewCommit {
  /** Default `main`. The new commit becomes its tip. */
  readonly branch?: Bytes;
  /** Default `commit 1`, `commit 2` … */
  readonly message?: Bytes;
  /**
   * Changes to the files of the first parent, by path. Paths that are not UTF-8 are given as pairs.
   */
  readonly files?: Readonly<Record<string, FileChange>> | Iterable<readonly [Bytes, FileChange]>;
  /** Revisions. Default: the tip of the branch; none for a new branch. */
  readonly parents?: readonly string[];
  readonly author?: Person;
  /** Default: the author. */
  readonly committer?: Person;
}

const PERSON_NAMES: NamesOf<Person> = { name: true, email: true, seconds: true, timezone: true };

const COMMIT_OPTIONS: NamesOf<NewCommit> = {
  branch: true,
  message: true,
  files: true,
  parents: true,
  author: PERSON_NAMES,
  committer: PERSON_NAMES,
};

/** A tag to create. */
export interface NewTag {
  /** A revision; default `main`. */
  readonly target?: string;
  /** Makes the tag an annotated one. */
  readonly message?: Bytes;
  readonly tagger?: Person;
}

const TAG_OPTIONS: NamesOf<NewTag> = { target: true, message: true, tagger: PERSON_NAMES };

/** A merge to create. */
export interface NewMerge {
  /** A revision. */
  readonly from: string;
  /** Branch to merge into; default `main`. */
  readonly into?: string;
  readonly message?: Bytes;
  readonly author?: Person;
}

const MERGE_OPTIONS: NamesOf<NewMerge> = {
  from: true,
  into: true,
  message: true,
  author: PERSON_NAMES,
};

/** Author and committer of objects for which a test names none. */
const SOMEBODY = { name: 'Ann Author', email: 'ann@example.com' };
const FIRST_SECOND = 1_600_000_000;

/** The fields of a request that name a repository. */
export interface RepositoryName {
  readonly storageName: string;
  readonly relativePath: string;
  /** GitLab's name for it, which calls of the internal API need: `project-1`. */
  readonly glRepository?: string;
}

/**
 * A repository of a test server, which is also the value for `repository` in requests. It is
 * changed by real git, without hooks. The same steps give the same object ids each time.
 */
export class TestRepository implements RepositoryName {
  readonly storageName: string;
  readonly relativePath: string;
  readonly glRepository: string;
  /** Its directories, absolute: one, or one for each node of a cluster. */
  readonly paths: readonly string[];
  #objects = 0;

  constructor(parts: RepositoryName & { readonly paths: readonly string[] }) {
    this.storageName = parts.storageName;
    this.relativePath = parts.relativePath;
    this.glRepository = parts.glRepository ?? '';
    this.paths = parts.paths;
  }

  /** Its directory; that of the first node of a cluster. */
  get path(): string {
    return this.paths[0] ?? '';
  }

  /** Creates a commit and returns its id. */
  async commit(options: NewCommit = {}): Promise<string> {
    checkNames('a commit', options, COMMIT_OPTIONS);
    const { branch = 'main', files = {}, message } = options;
    const reference = Buffer.concat([Buffer.from('refs/heads/'), Buffer.from(branch)]);
    const parents = options.parents
      ? await Promise.all(options.parents.map((parent) => this.#commitAt(parent)))
      : [await this.#resolve(reference)].filter((oid) => oid !== undefined);
    const person = this.#person(options.author);
    const stream = commitStream({
      reference,
      author: person,
      committer: options.committer ? { ...person, ...options.committer } : person,
      message: message ?? `commit ${this.#objects}`,
      parents,
      files: Symbol.iterator in files ? files : Object.entries(files),
    });
    return await this.#import(stream);
  }

  /** Creates commits on `main`, each with one new file, and returns their ids. */
  async commits(count: number): Promise<string[]> {
    const oids: string[] = [];
    for (let number = 1; number <= count; number++)
      oids.push(await this.commit({ files: { [`file-${number}.txt`]: `${number}\n` } }));
    return oids;
  }

  /**
   * Creates a merge commit, also where a fast-forward would do, and returns its id.
   *
   * @throws {Error} with the files if there are conflicts
   */
  async merge(options: NewMerge): Promise<string> {
    checkNames('a merge', options, MERGE_OPTIONS);
    const { into = 'main', message = `Merge ${options.from} into ${into}` } = options;
    const parents = await Promise.all(
      [`refs/heads/${into}`, options.from].map((parent) => this.#commitAt(parent)),
    );
    const tree = await this.git(['merge-tree', '--write-tree', '--name-only', ...parents]).catch(() => {
      throw new Error(`${options.from} does not merge into ${into} without conflicts`);
    });
    const { email, name, seconds, timezone } = this.#person(options.author);
    const person = Buffer.concat(
      [name, ' <', email, `> ${seconds} ${timezone}\n`].map((part) => Buffer.from(part)),
    );
    const head = [`tree ${tree}\n`, ...parents.map((parent) => `parent ${parent}\n`)].join('');
    const text = Buffer.concat(
      [head, 'author ', person, 'committer ', person, '\n', message].map((part) => Buffer.from(part)),
    );
    const oid = await this.object('commit', text);
    await this.branch(into, oid);
    return oid;
  }

  /** Creates a tag, an annotated one if it has a message, and returns the id that it points to. */
  async tag(name: Bytes, options: NewTag = {}): Promise<string> {
    checkNames('a tag', options, TAG_OPTIONS);
    const target = await this.#commitAt(options.target ?? 'main');
    if (options.message === undefined) {
      await this.#point(Buffer.concat([Buffer.from('refs/tags/'), Buffer.from(name)]), target);
      return target;
    }
    const tagger = this.#person(options.tagger);
    return await this.#import(tagStream({ name, target, tagger, message: options.message }));
  }

  /** Creates or moves a branch. @param target a revision, also of an object that is no commit */
  async branch(name: Bytes, target: string): Promise<void> {
    const oid = await this.git(['rev-parse', '--verify', '--end-of-options', target]);
    await this.#point(Buffer.concat([Buffer.from('refs/heads/'), Buffer.from(name)]), oid);
  }

  /**
   * Writes an object as it is, also one that git would refuse, and returns its id.
   *
   * @param content without git's header
   */
  async object(type: 'blob' | 'tree' | 'commit' | 'tag', content: Bytes): Promise<string> {
    return await this.#everywhere(['hash-object', '-w', '--stdin', '--literally', '-t', type], content);
  }

  /** Runs git in the repository and returns its output without the last line feed. */
  async git(args: readonly string[], input: Bytes = ''): Promise<string> {
    return withoutLastNewline(await this.gitBytes(args, input));
  }

  /** Runs git in the repository and returns its output. @throws {Error} with git's own message */
  async gitBytes(args: readonly string[], input: Bytes = ''): Promise<Buffer> {
    return await gitBytes(this.path, args, input);
  }

  #person(person: Person = SOMEBODY): Required<Person> {
    const seconds = FIRST_SECOND + this.#objects++;
    return { seconds, timezone: '+0000', ...person };
  }

  async #commitAt(revision: string): Promise<string> {
    return await this.git(['rev-parse', '--verify', '--end-of-options', `${revision}^{commit}`]);
  }

  /** Returns the id of a reference whose name may have bytes that no argument can have. */
  async #resolve(reference: Uint8Array): Promise<string | undefined> {
    const query = Buffer.concat([reference, Buffer.from('\n')]);
    const answer = withoutLastNewline(
      await this.gitBytes(['cat-file', '--batch-check=%(objectname)'], query),
    );
    return answer.endsWith(' missing') ? undefined : answer;
  }

  async #point(reference: Uint8Array, oid: string): Promise<void> {
    const order = Buffer.concat([Buffer.from('update '), reference, Buffer.from(`\0${oid}\0\0`)]);
    await this.#everywhere(['update-ref', '--stdin', '-z'], order);
  }

  async #import(stream: Uint8Array): Promise<string> {
    return await this.#everywhere(['fast-import', '--quiet', '--force'], stream);
  }

  /** Runs the same git command in each replica. Returns the output of the first. */
  async #everywhere(args: readonly string[], input: Bytes): Promise<string> {
    const answers = await Promise.all(this.paths.map((path) => gitBytes(path, args, input)));
    return withoutLastNewline(answers[0] ?? Buffer.alloc(0));
  }
}

function withoutLastNewline(output: Buffer): string {
  return output.toString().replace(/\n$/, '');
}
