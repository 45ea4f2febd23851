import { posix } from 'node:path';
import MarkdownIt from 'markdown-it';

/** Where links in the text that name files of the repository point to. */
export interface LinkTarget {
  /** Address of the directory of the text, which ends in a slash. */
  readonly base: string;
  /** Query of files, with its question mark; or empty. */
  readonly query: string;
}

/** End of the address of a repository's files. */
const FILES = '/-/files/';
const RELATION = 'noopener noreferrer nofollow';
const SCHEME = /^[a-z][a-z0-9+.-]*:/i;
/** All others, such as `javascript:` and `data:`, are shown as text. */
const ALLOWED_SCHEME = /^(?:https?|mailto):/i;

/**
 * Returns the markup of a Markdown text. HTML in it is shown as text. Images become links, because
 * the page loads nothing from other hosts. Links point to files of the repository, to the web or to
 * mail programs. Headings start at the third level, below those of the page.
 */
export function renderMarkdown(text: string, target: LinkTarget): string {
  const markdown = new MarkdownIt({ html: false, linkify: true });
  markdown.validateLink = (url) => !SCHEME.test(url.trim()) || ALLOWED_SCHEME.test(url.trim());
  markdown.renderer.rules.image = (tokens, index) => {
    const token = tokens[index];
    const text = token?.content === '' ? 'image' : token?.content;
    const address = addressOf(String(token?.attrGet('src') ?? ''), target);
    const { escapeHtml } = markdown.utils;
    return `<a href="${escapeHtml(address)}" rel="${RELATION}">${escapeHtml(text ?? '')}</a>`;
  };
  markdown.core.ruler.push('lower_headings', ({ tokens }) => {
    for (const token of tokens)
      if (token.type.startsWith('heading_')) token.tag = `h${Math.min(6, Number(token.tag.slice(1)) + 2)}`;
  });
  markdown.renderer.rules.link_open = (tokens, index, options, _, self) => {
    const token = tokens[index];
    token?.attrSet('href', addressOf(String(token.attrGet('href') ?? ''), target));
    token?.attrSet('rel', RELATION);
    return self.renderToken(tokens, index, options);
  };
  return markdown.render(text);
}

function addressOf(url: string, { base, query }: LinkTarget): string {
  if (SCHEME.test(url) || url.startsWith('#')) return url;
  if (url.startsWith('//')) return `https:${url}`;
  const [path = ''] = url.split(/[?#]/, 1);
  // The root of the address is the root of the repository's files, so that links cannot leave them.
  const end = base.indexOf(FILES) + FILES.length - 1;
  const [root, directory] = [base.slice(0, end), base.slice(end)];
  return `${root}${posix.resolve(directory, path.startsWith('/') ? path : `./${path}`)}${query}`;
}
