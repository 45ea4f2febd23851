import { zoneProblem } from '#base/go/zone-problem';
import type { Commit } from '#git/objects/parse/parse-commit';
import type { Signature } from '#git/objects/parse/parse-ident';
import type { Ident } from '#git/objects/write/format-ident';

/**
 * Returns the author and the message of a commit for its rebased copy: unchanged, but latin-1 is
 * converted to UTF-8.
 */
export function commitText(commit: Commit): { author: Ident; message: Buffer; encoding: Buffer | undefined } {
  const author = lenientIdent(commit.author);
  const { body: message, encoding } = commit;
  if (!/^(?:iso-?8859-?1|latin-?1)$/i.test(encoding.toString('latin1'))) return { author, message, encoding };
  const [name, email] = [inUtf8(author.name), inUtf8(author.email)];
  return { author: { ...author, name, email }, message: inUtf8(message), encoding: undefined };
}

function inUtf8(latin1: Uint8Array): Buffer {
  return Buffer.from(Buffer.from(latin1).toString('latin1'));
}

const NOTHING = Buffer.alloc(0);

/**
 * Returns the author of an old commit for a new one. Missing parts are empty; an invalid zone
 * becomes UTC.
 */
export function lenientIdent(signature: Signature | undefined): Ident {
  const zone = signature?.timezone.toString('latin1') ?? '';
  return {
    name: signature?.name ?? NOTHING,
    email: signature?.email ?? NOTHING,
    seconds: signature?.seconds ?? 0n,
    timezone: zoneProblem(zone) === undefined ? zone : '+0000',
  };
}

/**
 * As {@link lenientIdent}.
 *
 * @throws {Error} `parsing time "+51800": …` for an invalid zone, as Go's time package does.
 */
export function strictIdent(signature: Signature | undefined): Ident {
  const problem = zoneProblem(signature?.timezone.toString('latin1') ?? '');
  if (problem !== undefined) throw new Error(problem);
  return lenientIdent(signature);
}
