import MarkdownIt from 'markdown-it';
import type { LinkTarget } from './link-target.ts';
import { safeHtml } from './safe-html.ts';

/**
 * Returns the markup of a Markdown text, which may contain HTML ({@link safeHtml}). Links point to
 * files of the repository, to the web or to mail programs.
 */
export function renderMarkdown(text: string, target: LinkTarget): string {
  return safeHtml(new MarkdownIt({ html: true, linkify: true }).render(text), target);
}
