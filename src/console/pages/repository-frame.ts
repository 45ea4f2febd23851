import type { PageAccess } from '#gateway/http/pages/page-source';
import { type RepositoryView, repositoryAddress } from '../console-route.ts';
import { codeFrame } from '../html/elements.ts';
import { type Html, html } from '../html/html.ts';
import type { ConsolePage } from '../page.ts';
import type { RepositoryPagesOptions } from './repository-visit.ts';

/** The upper part of each page of a repository. */
export interface RepositoryFrame
  extends Pick<RepositoryPagesOptions, 'httpAddress' | 'sshAddress' | 'hasArchive'> {
  readonly path: string;
  /** The chosen revision; empty in a repository without commits. */
  readonly revision?: string;
  readonly view?: RepositoryView;
  readonly access: Pick<PageAccess, 'lfsFilesAt'>;
}

const TABS = [
  ['files', 'Files'],
  ['commits', 'Commits'],
  ['compare', 'Compare'],
  ['branches', 'Branches'],
  ['tags', 'Tags'],
  ['pushes', 'Pushes'],
  ['search', 'Search'],
  ['lfs', 'LFS'],
  ['storage', 'Storage'],
  ['archived', 'Archived'],
  ['settings', 'Settings'],
] as const;

/** Returns the heading of a repository, its addresses for git, and the links to its pages. */
export function frame(visit: RepositoryFrame): Html {
  const { access, hasArchive, path, revision = '', view } = visit;
  const hidden = new Set<RepositoryView>([
    ...(access.lfsFilesAt === undefined ? (['lfs'] as const) : []),
    ...(hasArchive ? [] : (['archived'] as const)),
  ]);
  const shown = TABS.filter(([name]) => !hidden.has(name));
  const tabs = shown.map(([name, text]) => {
    const isCurrent = name === view || (name === 'commits' && view === 'commit');
    const current = isCurrent ? html` aria-current="page"` : undefined;
    const address = repositoryAddress(path, name, { query: { ref: revision } });
    return html`<a href="${address}"${current}>${text}</a>`;
  });
  return html`<h1>${nameOf(path)}</h1>
${cloneAddresses(visit).map(
  ({ kind, address }) => html`<p class="clone"><label>Clone with ${kind}
<input readonly value="${address}" data-copy></label></p>`,
)}
<nav class="tabs" aria-label="Repository">${tabs}</nav>`;
}

/** Returns the page of a repository without commits. */
export function emptyPage(visit: RepositoryFrame): ConsolePage {
  const [clone] = cloneAddresses(visit);
  return {
    title: nameOf(visit.path),
    section: 'repositories',
    data: { name: visit.path, isEmpty: true, clone: cloneAddresses(visit) },
    body: html`${frame(visit)}
<h2>The repository has no commits on its default branch</h2>
${clone && pushCommands(clone.address)}`,
  };
}

function pushCommands(address: string): Html {
  return html`<p>Push some:</p>
${codeFrame('Commands', `git remote add origin ${address}\ngit push -u origin main`)}`;
}

export function nameOf(path: string): string {
  return path.replace(/\.git$/, '');
}

export function cloneAddresses({
  httpAddress,
  path,
  sshAddress,
}: RepositoryFrame): { readonly kind: 'HTTP' | 'SSH'; readonly address: string }[] {
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  const servers = [
    { kind: 'HTTP', server: httpAddress } as const,
    { kind: 'SSH', server: sshAddress } as const,
  ];
  return servers.flatMap(({ kind, server }) =>
    server === undefined ? [] : [{ kind, address: `${server}/${encoded}` }],
  );
}
