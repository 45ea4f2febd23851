const BRANCHES = 'refs/heads/';
const TAGS = 'refs/tags/';

/**
 * Returns a test of full reference names: all tags, and the branches that match a pattern, in which
 * `*` represents any text. Without patterns all branches match.
 */
export function matchMirrored(patterns: readonly string[]): (name: string) => boolean {
  const tests = patterns.map(matchStars);
  return (name) => {
    if (name.startsWith(TAGS)) return true;
    if (!name.startsWith(BRANCHES)) return false;
    const branch = name.slice(BRANCHES.length);
    return tests.length === 0 || tests.some((test) => test(branch));
  };
}

/** Compiles a pattern to a test whose time is proportional to the lengths. */
function matchStars(pattern: string): (text: string) => boolean {
  const [first = '', ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return (text) => text === pattern;
  return (text) => {
    if (!text.startsWith(first) || text.length < first.length + last.length) return false;
    const end = text.length - last.length;
    let at = first.length;
    for (const part of others) {
      const found = text.indexOf(part, at);
      if (found === -1 || found + part.length > end) return false;
      at = found + part.length;
    }
    return text.endsWith(last);
  };
}
