import { FLUSH, packet } from '#testkit/repositories/push';

const PREFIXES = ['refs/heads/', 'refs/tags/', 'HEAD'];

/** Returns the body of a version 2 fetch with one `want` and no `have`. */
export function fetchRequest(want: string, more: readonly string[] = []): Buffer {
  const head = `${packet('command=fetch')}${packet('object-format=sha1')}0001`;
  const lines = ['ofs-delta', 'no-progress', `want ${want}`, ...more, 'done'];
  return Buffer.from(`${head}${lines.map((line) => packet(`${line}\n`)).join('')}${FLUSH}`);
}

/** Returns the body of a version 2 `ls-refs` as git's clone sends it. */
export function lsRefsRequest(): string {
  const words = ['peel', 'symrefs', 'unborn', ...PREFIXES.map((prefix) => `ref-prefix ${prefix}`)];
  const head = ['command=ls-refs\n', 'agent=git/2.45.0\n', 'object-format=sha1\n'].map(packet).join('');
  return `${head}0001${words.map((word) => packet(`${word}\n`)).join('')}${FLUSH}`;
}
