import { GitalyError } from '#base/gitaly-error';
import { CallError } from '#client/call/call-error';
import { eachItem } from '#client/content/collect/each-item';
import { type LocalBranch, localBranches } from '#client/content/collect/local-branches';
import { tagMessages, tagSignatures } from '#client/content/collect/messages';
import { splitItems } from '#client/split/split-items';
import type { ListRefsResponse_Reference } from '#wire/gen/ref_pb';
import { FindTagErrorSchema } from '#wire/gen/ref_pb';
import type { Branch, Tag } from '#wire/gen/shared_pb';
import { bytes, RepositoryCalls, type TextOrBytes } from './storage-calls.ts';

/** A change of a reference. The id of zeros stands for a reference that does not exist. */
export interface ReferenceChange {
  readonly reference: TextOrBytes;
  readonly oldOid: string;
  readonly newOid: string;
}

/** References. @see GitLab: Gitlab::GitalyClient::RefService */
export class RefService extends RepositoryCalls {
  /** Returns the full name of the default branch; `undefined` if there is none. */
  defaultBranchName({ headOnly = false }: { headOnly?: boolean } = {}): Promise<string | undefined> {
    return this.call('fast', async (gitaly) => {
      const { name } = await gitaly.ref.findDefaultBranchName({ repository: this.repository, headOnly });
      return name.length === 0 ? undefined : Buffer.from(name).toString();
    });
  }

  /** Yields the branches with their commits. */
  localBranches(): AsyncGenerator<LocalBranch, void, undefined> {
    return this.each('fast', (gitaly) =>
      localBranches(gitaly.ref.findLocalBranches({ repository: this.repository })),
    );
  }

  /** Returns a branch, `name` without `refs/heads/`; `undefined` if there is none. */
  findBranch(name: TextOrBytes): Promise<Branch | undefined> {
    const request = { repository: this.repository, name: bytes(name) };
    return this.call('medium', async (gitaly) => (await gitaly.ref.findBranch(request)).branch);
  }

  /** Yields the tags. */
  tags(): AsyncGenerator<Tag, void, undefined> {
    return this.each('medium', (gitaly) =>
      eachItem(gitaly.ref.findAllTags({ repository: this.repository }), (response) => response.tags),
    );
  }

  /** Returns a tag, `name` without `refs/tags/`; `undefined` if there is none. */
  async findTag(name: TextOrBytes): Promise<Tag | undefined> {
    const request = { repository: this.repository, tagName: bytes(name) };
    try {
      return await this.call('medium', async (gitaly) => (await gitaly.ref.findTag(request)).tag);
    } catch (error) {
      const detail = error instanceof CallError ? error.detail(FindTagErrorSchema) : undefined;
      if (detail?.error.case === 'tagNotFound') return undefined;
      throw error;
    }
  }

  /** Reports whether a reference with this full name exists. */
  refExists(ref: TextOrBytes): Promise<boolean> {
    const request = { repository: this.repository, ref: bytes(ref) };
    return this.call('fast', async (gitaly) => (await gitaly.ref.refExists(request)).value);
  }

  /** Yields references that match patterns. Default: branches and tags. */
  listRefs(
    patterns: readonly TextOrBytes[] = ['refs/heads/', 'refs/tags/'],
    options: { pointingAtOids?: readonly string[]; peelTags?: boolean } = {},
  ): AsyncGenerator<ListRefsResponse_Reference, void, undefined> {
    const { pointingAtOids = [], peelTags = false } = options;
    const request = {
      repository: this.repository,
      patterns: patterns.map(bytes),
      pointingAtOids: pointingAtOids.map(bytes),
      peelTags,
    };
    return this.each('fast', (gitaly) =>
      eachItem(gitaly.ref.listRefs(request), ({ references }) => references),
    );
  }

  /** Yields the names of the branches that contain a commit. `limit` 0 means all. */
  branchNamesContainingSha(commitId: string, limit = 0): AsyncGenerator<Uint8Array, void, undefined> {
    const request = { repository: this.repository, commitId, limit };
    return this.each('medium', (gitaly) =>
      eachItem(gitaly.ref.listBranchNamesContainingCommit(request), ({ branchNames }) => branchNames),
    );
  }

  /** Yields the names of the tags that contain a commit. `limit` 0 means all. */
  tagNamesContainingSha(commitId: string, limit = 0): AsyncGenerator<Uint8Array, void, undefined> {
    const request = { repository: this.repository, commitId, limit };
    return this.each('medium', (gitaly) =>
      eachItem(gitaly.ref.listTagNamesContainingCommit(request), ({ tagNames }) => tagNames),
    );
  }

  /** Returns the names of the references that lead to an object. `limit` 0 means all. */
  findRefsByOid(
    oid: string,
    { limit = 0, refPatterns = [] }: { limit?: number; refPatterns?: readonly string[] } = {},
  ): Promise<string[]> {
    const request = { repository: this.repository, oid, limit, refPatterns: [...refPatterns] };
    return this.call('medium', async (gitaly) => (await gitaly.ref.findRefsByOID(request)).refs);
  }

  /**
   * Deletes references by full name, or all except those with one of some prefixes.
   *
   * @throws {GitalyError} FAILED_PRECONDITION with git's text, which servers of 15.0 report in an
   *   OK response
   */
  async deleteRefs(which: {
    refs?: readonly TextOrBytes[];
    exceptWithPrefix?: readonly TextOrBytes[];
  }): Promise<void> {
    const { refs = [], exceptWithPrefix = [] } = which;
    const request = {
      repository: this.repository,
      refs: refs.map(bytes),
      exceptWithPrefix: exceptWithPrefix.map(bytes),
    };
    const { gitError } = await this.call('medium', (gitaly) => gitaly.ref.deleteRefs(request));
    if (gitError !== '') throw new GitalyError('FAILED_PRECONDITION', gitError);
  }

  /** Changes references together: all or none. */
  async updateRefs(changes: Iterable<ReferenceChange>): Promise<void> {
    const { repository } = this;
    async function* requests() {
      let isFirst = true;
      for await (const group of splitItems(changes)) {
        const updates = group.map(({ reference, oldOid, newOid }) => ({
          reference: bytes(reference),
          oldObjectId: Buffer.from(oldOid),
          newObjectId: Buffer.from(newOid),
        }));
        yield isFirst ? { repository, updates } : { updates };
        isFirst = false;
      }
    }
    await this.call('long', (gitaly) => gitaly.ref.updateReferences(requests()));
  }

  /** Yields the whole messages of tags. */
  getTagMessages(tagIds: readonly string[]) {
    const request = { repository: this.repository, tagIds: [...tagIds] };
    return this.each('fast', (gitaly) => tagMessages(gitaly.ref.getTagMessages(request)));
  }

  /** Yields the signatures of signed tags. */
  getTagSignatures(tagRevisions: readonly string[]) {
    const request = { repository: this.repository, tagRevisions: [...tagRevisions] };
    return this.each('fast', (gitaly) => tagSignatures(gitaly.ref.getTagSignatures(request)));
  }
}
