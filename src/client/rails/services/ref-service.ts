import { GitalyError } from '#base/gitaly-error';
import { CallError } from '#client/call/call-error';
import { eachItem } from '#client/content/collect/each-item';
import { type LocalBranch, localBranches } from '#client/content/collect/local-branches';
import { tagMessages, tagSignatures } from '#client/content/collect/messages';
import { type TextOrBytes, toBytes } from '#client/repository/values';
import { splitItems } from '#client/split/split-items';
import type { FindAllBranchesResponse_Branch, ListRefsResponse_Reference } from '#wire/gen/ref_pb';
import { FindTagErrorSchema } from '#wire/gen/ref_pb';
import type { Branch, Tag } from '#wire/gen/shared_pb';
import { AmbiguousRef, ArgumentError } from './rails-errors.ts';
import { CHANGE_REFS_RULES } from './ref-errors.ts';
import {
  branchesFields,
  type ListRefsOptions,
  type LocalBranchesOptions,
  listRefsFields,
  type TagsOptions,
  tagsFields,
} from './ref-options.ts';
import { type Items, RepositoryCalls } from './storage-calls.ts';
import { type ErrorRules, translated, translatedItems } from './translate-errors.ts';

/** A change of a reference. The all-zero id represents a reference that does not exist. */
export interface ReferenceChange {
  readonly reference: TextOrBytes;
  readonly oldOid: string;
  readonly newOid: string;
}

const ARGUMENT_RULES: ErrorRules = { codes: { INVALID_ARGUMENT: (error) => new ArgumentError(error) } };
/** Text of git's and Gitaly's error. @see GitLab: RefService::AMBIGUOUS_REFERENCE */
const AMBIGUOUS_REFERENCE = 'reference is ambiguous';

/** References. @see GitLab: Gitlab::GitalyClient::RefService */
export class RefService extends RepositoryCalls {
  /** Returns the full name of the default branch; `undefined` if there is none. */
  defaultBranchName({ headOnly = false }: { headOnly?: boolean } = {}): Promise<string | undefined> {
    return this.call('fast', async (gitaly) => {
      const { name } = await gitaly.ref.findDefaultBranchName({ repository: this.repository, headOnly });
      return name.length === 0 ? undefined : Buffer.from(name).toString();
    });
  }

  /** Yields all branches, including those of `refs/remotes/`, by full name. */
  branches(): Items<FindAllBranchesResponse_Branch> {
    return this.items(
      'fast',
      (gitaly) => gitaly.ref.findAllBranches({ repository: this.repository }),
      'branches',
    );
  }

  /** Yields, of these branches (default: of all), those that the default branch contains. */
  mergedBranches(names: readonly TextOrBytes[] = []): Items<FindAllBranchesResponse_Branch> {
    const request = { repository: this.repository, mergedOnly: true, mergedBranches: names.map(toBytes) };
    return this.items('fast', (gitaly) => gitaly.ref.findAllBranches(request), 'branches');
  }

  /** Yields the branches of a remote. Their names do not contain that of the remote. */
  remoteBranches(remoteName: string): Items<Branch> {
    const prefix = Buffer.from(`refs/remotes/${remoteName}/`);
    return this.each('medium', (gitaly) =>
      eachItem(
        gitaly.ref.findAllRemoteBranches({ repository: this.repository, remoteName }),
        ({ branches }) =>
          branches.map((branch) =>
            prefix.equals(branch.name.subarray(0, prefix.length))
              ? { ...branch, name: branch.name.subarray(prefix.length) }
              : branch,
          ),
      ),
    );
  }

  /** Yields the branches with their commits, by full name. */
  localBranches(options: LocalBranchesOptions = {}): Items<LocalBranch> {
    const request = { repository: this.repository, ...branchesFields(options) };
    return this.each('fast', (gitaly) => localBranches(gitaly.ref.findLocalBranches(request)));
  }

  /**
   * Returns a branch; `undefined` if there is none. `name` is without `refs/heads/`.
   *
   * @throws {AmbiguousRef} for a name that fits several references
   */
  async findBranch(name: TextOrBytes): Promise<Branch | undefined> {
    const request = { repository: this.repository, name: toBytes(name) };
    try {
      return await this.call('medium', async (gitaly) => (await gitaly.ref.findBranch(request)).branch);
    } catch (error) {
      if (!(error instanceof CallError) || !error.message.includes(AMBIGUOUS_REFERENCE)) throw error;
      throw new AmbiguousRef(error, `branch is ambiguous: ${Buffer.from(request.name).toString()}`);
    }
  }

  /** Yields the tags. */
  tags(options: TagsOptions = {}): Items<Tag> {
    const request = { repository: this.repository, ...tagsFields(options) };
    return this.items('medium', (gitaly) => gitaly.ref.findAllTags(request), 'tags');
  }

  /** Returns a tag; `undefined` if there is none. `name` is without `refs/tags/`. */
  async findTag(name: TextOrBytes): Promise<Tag | undefined> {
    const request = { repository: this.repository, tagName: toBytes(name) };
    if (name.length === 0) return undefined;
    try {
      return await this.call('medium', async (gitaly) => (await gitaly.ref.findTag(request)).tag);
    } catch (error) {
      const detail = error instanceof CallError ? error.detail(FindTagErrorSchema) : undefined;
      if (detail?.error.case === 'tagNotFound') return undefined;
      throw error;
    }
  }

  /** Reports whether a reference with this full name exists. @throws {ArgumentError} */
  refExists(ref: TextOrBytes): Promise<boolean> {
    const request = { repository: this.repository, ref: toBytes(ref) };
    const exists = this.call('fast', async (gitaly) => (await gitaly.ref.refExists(request)).value);
    return translated(exists, ARGUMENT_RULES);
  }

  /** Yields references that match patterns. Default: branches. */
  listRefs(
    patterns: readonly TextOrBytes[] = ['refs/heads/'],
    options: ListRefsOptions = {},
  ): Items<ListRefsResponse_Reference> {
    const request = {
      repository: this.repository,
      patterns: patterns.map(toBytes),
      ...listRefsFields(options),
    };
    return this.items('fast', (gitaly) => gitaly.ref.listRefs(request), 'references');
  }

  /** Yields the names of the branches that contain a commit. `limit` 0 means all. */
  branchNamesContainingSha(commitId: string, limit = 0): Items<Uint8Array> {
    const request = { repository: this.repository, commitId, limit };
    return this.items(
      'medium',
      (gitaly) => gitaly.ref.listBranchNamesContainingCommit(request),
      'branchNames',
    );
  }

  /** Yields the names of the tags that contain a commit. `limit` 0 means all. */
  tagNamesContainingSha(commitId: string, limit = 0): Items<Uint8Array> {
    const request = { repository: this.repository, commitId, limit };
    return this.items('medium', (gitaly) => gitaly.ref.listTagNamesContainingCommit(request), 'tagNames');
  }

  /**
   * Returns the full names of the references that point to an object, in the order of names.
   * `limit` 0 means all.
   */
  findRefsByOid(
    oid: string,
    { limit = 0, refPatterns = [] }: { limit?: number; refPatterns?: readonly string[] } = {},
  ): Promise<string[]> {
    const request = { repository: this.repository, oid, limit, sortField: 'refname' };
    return this.call(
      'medium',
      async (gitaly) => (await gitaly.ref.findRefsByOID({ ...request, refPatterns: [...refPatterns] })).refs,
    );
  }

  /**
   * Deletes references by full name, or all except those with one of some prefixes.
   *
   * @throws {InvalidRefFormatError}; {ReferencesLockedError}; {GitalyError} FAILED_PRECONDITION
   *   with git's text, which servers of 15.0 report in an OK response
   */
  async deleteRefs(which: {
    refs?: readonly TextOrBytes[];
    exceptWithPrefix?: readonly TextOrBytes[];
  }): Promise<void> {
    const { refs = [], exceptWithPrefix = [] } = which;
    const request = {
      repository: this.repository,
      refs: refs.map(toBytes),
      exceptWithPrefix: exceptWithPrefix.map(toBytes),
    };
    const deleted = this.call('medium', (gitaly) => gitaly.ref.deleteRefs(request));
    const { gitError } = await translated(deleted, CHANGE_REFS_RULES);
    if (gitError !== '') throw new GitalyError('FAILED_PRECONDITION', gitError);
  }

  /**
   * Changes references together: all or none.
   *
   * @throws {InvalidRefFormatError}; {ReferencesLockedError}; {ReferenceStateMismatchError} for one
   *   that is not at its old id
   */
  async updateRefs(changes: Iterable<ReferenceChange>): Promise<void> {
    const { repository } = this;
    async function* requests() {
      let isFirst = true;
      for await (const group of splitItems(changes)) {
        const updates = group.map(({ reference, oldOid, newOid }) => ({
          reference: toBytes(reference),
          oldObjectId: Buffer.from(oldOid),
          newObjectId: Buffer.from(newOid),
        }));
        yield isFirst ? { repository, updates } : { updates };
        isFirst = false;
      }
    }
    const updated = this.call('long', (gitaly) => gitaly.ref.updateReferences(requests()));
    await translated(updated, CHANGE_REFS_RULES);
  }

  /** Yields the whole messages of tags. */
  getTagMessages(tagIds: readonly string[]) {
    const request = { repository: this.repository, tagIds: [...tagIds] };
    return this.each('fast', (gitaly) => tagMessages(gitaly.ref.getTagMessages(request)));
  }

  /** Yields the signatures of signed tags. @throws {ArgumentError} for an id that is not valid */
  getTagSignatures(tagRevisions: readonly string[]) {
    const request = { repository: this.repository, tagRevisions: [...tagRevisions] };
    const signatures = this.each('fast', (gitaly) => tagSignatures(gitaly.ref.getTagSignatures(request)));
    return translatedItems(signatures, ARGUMENT_RULES);
  }
}
