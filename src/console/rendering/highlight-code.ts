import hljs from 'highlight.js/lib/common';

/** Names of files without an ending that determines the language. */
const BY_NAME: Readonly<Record<string, string>> = {
  makefile: 'makefile',
  gemfile: 'ruby',
  rakefile: 'ruby',
  vagrantfile: 'ruby',
};
const SPAN = /<span class="[^"]*">|<\/span>/g;

/**
 * Returns the markup of a source file, in which each line is complete by itself; `undefined` if its
 * language is not known.
 */
export function highlightCode(text: string, name: string): string | undefined {
  const base = name.slice(name.lastIndexOf('/') + 1).toLowerCase();
  const language = BY_NAME[base] ?? base.slice(base.lastIndexOf('.') + 1);
  if (hljs.getLanguage(language) === undefined) return undefined;
  return closeInEachLine(hljs.highlight(text, { language, ignoreIllegals: true }).value);
}

/** Closes the elements that are open at the end of a line, and opens them again in the next. */
function closeInEachLine(markup: string): string {
  const open: string[] = [];
  const lines = markup.split('\n').map((line) => {
    const before = open.join('');
    for (const [tag] of line.matchAll(SPAN)) {
      if (tag === '</span>') open.pop();
      else open.push(tag);
    }
    return `${before}${line}${'</span>'.repeat(open.length)}`;
  });
  return lines.join('\n');
}
