import { FLUSH, packet } from '#testkit/repositories/push';

/** Returns the body of a version 2 fetch with one `want` and no `have`. */
export function fetchRequest(want: string, more: readonly string[] = []): Buffer {
  const head = `${packet('command=fetch')}${packet('object-format=sha1')}0001`;
  const lines = ['ofs-delta', 'no-progress', `want ${want}`, ...more, 'done'];
  return Buffer.from(`${head}${lines.map((line) => packet(`${line}\n`)).join('')}${FLUSH}`);
}
