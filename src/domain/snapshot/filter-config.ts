/**
 * Returns what a copy needs of a `config` file: the version of the repository's format and its
 * extensions. All else, such as the URLs of remotes, may be secret. The rules, also that the rest
 * after the last line feed counts as a line, are Gitaly's.
 */
export function filterConfig(content: Buffer): Buffer {
  let section = '';
  const kept = content
    .toString('latin1')
    .split('\n')
    .filter((line) => {
      const text = line.trim();
      if (text.startsWith('[')) section = text.toLowerCase();
      if (section === '[extensions]') return true;
      if (section !== '[core]') return false;
      return text.startsWith('[') || /^repositoryformatversion\b/i.test(text);
    });
  return Buffer.from(kept.map((line) => `${line}\n`).join(''), 'latin1');
}
