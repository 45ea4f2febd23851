import { wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { trimmed } from '#base/trim';
import type { Commit } from '#git/objects/parse/parse-commit';
import type { Ident } from '#git/objects/write/format-ident';
import type { Repository } from '#storage/repository';
import { strictIdent } from '../rebase/commit-text.ts';
import type { BranchUpdate } from '../ref-update/branch-update.ts';
import type { UpdateContext } from '../ref-update/update-with-hooks.ts';
import { cherryPick } from './apply-change.ts';
import { type BranchChange, changeOntoBranch } from './change-onto-branch.ts';

/** ASCII's white space. @see Go: bytes.TrimSpace */
const SPACE = ' \t\n\v\f\r';

export interface BranchCherryPick extends BranchChange {
  /** Author of the new commit; that of the picked commit if either is empty. */
  readonly authorName: Uint8Array;
  readonly authorEmail: Uint8Array;
}

/**
 * Applies the change of a commit to a branch.
 *
 * @throws as {@link changeOntoBranch} and {@link cherryPick}; `get cherry commit location: …`.
 */
export async function cherryPickOntoBranch(
  repository: Repository,
  change: BranchCherryPick,
  context: UpdateContext,
): Promise<BranchUpdate> {
  const steps = {
    notFound: (commit: string) => `cherry-pick: commit lookup: commit not found: ${quote(commit)}`,
    authorOf: (picked: Commit, user: Ident) => authorOf(change, picked, user),
    makeTree: cherryPick,
  };
  return await changeOntoBranch(repository, change, steps, context);
}

function authorOf({ authorName, authorEmail }: BranchCherryPick, picked: Commit, user: Ident): Ident {
  if (authorName.length > 0 && authorEmail.length > 0) {
    return { ...user, name: withoutSpace(authorName), email: withoutSpace(authorEmail) };
  }
  try {
    return strictIdent(picked.author);
  } catch (error) {
    throw wrap(error, 'get cherry commit location');
  }
}

function withoutSpace(text: Uint8Array): Uint8Array {
  return Buffer.from(trimmed(Buffer.from(text).toString('latin1'), SPACE), 'latin1');
}
