import MarkdownIt from 'markdown-it';
import sanitizeHtml from 'sanitize-html';
import { addressOf, type LinkTarget, rawAddressOf } from './link-target.ts';

/**
 * Returns the markup of a Markdown text, which may contain HTML ({@link safeHtml}). Links point to
 * files of the repository, to the web or to mail programs.
 */
export function renderMarkdown(text: string, target: LinkTarget): string {
  return safeHtml(new MarkdownIt({ html: true, linkify: true }).render(text), target);
}

const RELATION = 'noopener noreferrer nofollow';
/** The level of a text's first headings: below those of the page. */
const HEADING_OFFSET = 2;
const TEXT_TAGS = [
  ...['p', 'br', 'hr', 'blockquote', 'pre', 'div', 'details', 'summary'],
  ...['a', 'b', 'i', 'em', 'strong', 'code', 'kbd', 'samp', 'sub', 'sup', 's', 'del', 'ins', 'span', 'img'],
  ...['ul', 'ol', 'li', 'dl', 'dt', 'dd', 'table', 'thead', 'tbody', 'tr', 'th', 'td'],
];
const HEADINGS = ['h1', 'h2', 'h3', 'h4', 'h5', 'h6'];

/**
 * Returns markup with a short list of elements and attributes; all others are shown as text.
 * Pictures of the repository are shown, those of other hosts become links: a page loads nothing
 * from elsewhere.
 */
function safeHtml(markup: string, target: LinkTarget): string {
  let linkDepth = 0;
  return sanitizeHtml(markup, {
    allowedTags: [...TEXT_TAGS, ...HEADINGS],
    allowedAttributes: {
      a: ['href', 'rel', 'title'],
      img: ['class', 'src', 'alt', 'title', 'width', 'height'],
      ol: ['start'],
      details: ['open'],
      '*': ['align'],
    },
    allowedClasses: { code: [/^language-[\w+#.-]{1,30}$/], img: ['picture'] },
    allowedSchemes: ['http', 'https', 'mailto'],
    disallowedTagsMode: 'escape',
    onOpenTag: (name) => {
      if (name === 'a') linkDepth++;
    },
    onCloseTag: (name) => {
      if (name === 'a') linkDepth--;
    },
    transformTags: {
      ...Object.fromEntries(HEADINGS.map((name, index) => [name, lowered(index + 1)])),
      a: (tagName, { href = '', title }) => ({
        tagName,
        attribs: { href: addressOf(href, target), rel: RELATION, ...(title !== undefined && { title }) },
      }),
      img: (tagName, { alt = '', height, src = '', title, width }) => {
        const local = rawAddressOf(src, target);
        if (local !== undefined) {
          const size = { ...(width && { width }), ...(height && { height }), ...(title && { title }) };
          return { tagName, attribs: { class: 'picture', src: local, alt, ...size } };
        }
        const text = alt === '' ? 'image' : alt;
        return linkDepth > 0
          ? { tagName: 'span', attribs: {}, text }
          : { tagName: 'a', attribs: { href: addressOf(src, target), rel: RELATION }, text };
      },
    },
  });
}

function lowered(level: number): string {
  return `h${Math.min(6, level + HEADING_OFFSET)}`;
}
