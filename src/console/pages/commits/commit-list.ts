import type { Commit } from '#client/repository/values';
import { repositoryAddress } from '#console/console-route';
import { link, wideTable } from '#console/html/elements';
import { instant } from '#console/html/format';
import { type Html, html, type Part } from '#console/html/html';
import type { SignatureChecks } from './signatures.ts';

const KINDS = { PGP: 'OpenPGP', SSH: 'SSH', X509: 'X.509' } as const;

/** Returns the fields of a commit for the JSON form of a page. */
export function commitData(
  { author, committer, id, message, parents, signatureType, subject }: Commit,
  checks: SignatureChecks,
) {
  const check = checks.get(id);
  const signedBy = check !== undefined && 'name' in check ? check.name : null;
  return { id, parents, subject, message, author, committer, signature: signatureType ?? null, signedBy };
}

/** Returns the kind of a commit's signature and who made it; `undefined` without one. */
export function signatureText({ id, signatureType }: Commit, checks: SignatureChecks): string | undefined {
  const check = checks.get(id);
  if (signatureType === undefined) return undefined;
  const kind = KINDS[signatureType];
  if (check === undefined) return `${kind}, not verified`;
  return 'name' in check ? `${kind}, verified: ${check.name}` : `${kind}, not verified: ${check.problem}`;
}

export function commitTable(path: string, commits: readonly Commit[], checks: SignatureChecks): Html {
  return wideTable(
    'List of commits',
    ['Commit', 'Subject', 'Author', 'Date', 'Signature'],
    commits.map((commit) => row(path, commit, checks)),
  );
}

function row(path: string, commit: Commit, checks: SignatureChecks): readonly Part[] {
  const { author, committer, id, subject } = commit;
  const shortId = html`<code>${id.slice(0, 10)}</code>`;
  const address = repositoryAddress(path, 'commit', { rest: id });
  return [
    link(address, shortId),
    subject,
    author.name,
    instant(committer.date),
    signatureText(commit, checks),
  ];
}
