import type { Ident } from '#git/objects/format-ident';
import type { Commit } from '#git/objects/parse-commit';
import type { Signature } from '#git/objects/parse-ident';

/** What a rebased commit says: the same as before, in UTF-8 where that can be had without a table of characters. */
export function textOf(commit: Commit): { author: Ident; message: Buffer; encoding: Buffer | undefined } {
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

/** The author of an old commit for a new one. What is missing is empty, a zone that makes no sense is UTC. */
export function lenientIdent(signature: Signature | undefined): Ident {
  const zone = signature?.timezone.toString('latin1') ?? '';
  return {
    name: signature?.name ?? NOTHING,
    email: signature?.email ?? NOTHING,
    seconds: signature?.seconds ?? 0n,
    timezone: problemOfZone(zone) === undefined ? zone : '+0000',
  };
}

/** As {@link lenientIdent}. @throws {Error} `parsing time "+51800": …` for a zone that makes no sense, in the words of Go's time package. */
export function strictIdent(signature: Signature | undefined): Ident {
  const problem = problemOfZone(signature?.timezone.toString('latin1') ?? '');
  if (problem !== undefined) throw new Error(problem);
  return lenientIdent(signature);
}

/** Why `-0700` of Go's time package does not read a zone. */
function problemOfZone(zone: string): string | undefined {
  const [, hours, minutes] = /^[+-](\d\d)(\d\d)/.exec(zone) ?? [];
  if (hours === undefined || minutes === undefined) return `parsing time "${zone}" as "-0700": cannot parse "${zone}" as "-0700"`;
  if (Number(minutes) > 60) return `parsing time "${zone}": time zone offset minute out of range`;
  if (Number(hours) > 24) return `parsing time "${zone}": time zone offset hour out of range`;
  return zone.length > 5 ? `parsing time "${zone}": extra text: "${zone.slice(5)}"` : undefined;
}
