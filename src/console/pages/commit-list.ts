import type { Commit } from '#client/repository/values';
import { repositoryAddress } from '../console-route.ts';
import { link, wideTable } from '../html/elements.ts';
import { instant } from '../html/format.ts';
import { type Html, html, type Part } from '../html/html.ts';

const KINDS = { PGP: 'OpenPGP', SSH: 'SSH', X509: 'X.509' } as const;

/** Returns the fields of a commit for the JSON form of a page. */
export function commitData({ author, committer, id, message, parents, signatureType, subject }: Commit) {
  return { id, parents, subject, message, author, committer, signature: signatureType ?? null };
}

/** Returns the kind of a commit's signature. The console has no keys, so it verifies none. */
export function signatureText({ signatureType }: Commit): string | undefined {
  return signatureType && `${KINDS[signatureType]}, not verified`;
}

/** Returns a table of commits. */
export function commitTable(path: string, commits: readonly Commit[]): Html {
  return wideTable(
    'List of commits',
    ['Commit', 'Subject', 'Author', 'Date', 'Signature'],
    commits.map((commit) => row(path, commit)),
  );
}

function row(path: string, commit: Commit): readonly Part[] {
  const { author, committer, id, subject } = commit;
  const shortId = html`<code>${id.slice(0, 10)}</code>`;
  const address = repositoryAddress(path, 'commit', { rest: id });
  return [link(address, shortId), subject, author.name, instant(committer.date), signatureText(commit)];
}
