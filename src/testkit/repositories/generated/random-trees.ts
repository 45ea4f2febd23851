import type { Random } from '../random-history.ts';

/** One file: its mode as git writes it, and its content, or a submodule's id. */
interface File {
  readonly mode: string;
  readonly content: Buffer;
}

/**
 * Names that are difficult for parsers, as bytes in Latin-1. A path with ` b/` is omitted, because
 * its diff header is ambiguous.
 */
const NAMES = [
  'a',
  'dir/b',
  'dir/deep/c.txt',
  'sp ace',
  'tab\there',
  'quo"te',
  'back\\slash',
  'new\nline',
  'l\xe9',
  '-dash',
  'a.b',
  '"q"',
];
const LINES = [
  'one',
  'two',
  '-- old',
  '++ new',
  'diff --git a/x b/x',
  '@@ -1 +1 @@',
  'Binary files',
  '',
  '  space',
  'tab\t',
  'cr\r',
  '~',
  '\\ No newline',
];
const GITLINKS = ['1', '2', '3'];

/**
 * Returns a stream for `git fast-import`: branches `t0`, `t1`, … of one commit each, with trees
 * that differ in every possible way, including unusual names and contents.
 */
export function randomTrees(
  random: Random,
  { count, hexLength }: { readonly count: number; readonly hexLength: number },
): Buffer {
  const below = (limit: number): number => Math.floor(random() * limit);
  const pick = <T>(items: readonly T[], otherwise: T): T => items[below(items.length)] ?? otherwise;
  const parts: Buffer[] = [];
  const files = new Map<string, File>();
  for (let tree = 0; tree < count; tree++) {
    for (let changes = 3 + below(6); changes > 0; changes--) change();
    parts.push(
      Buffer.from(
        `commit refs/heads/t${tree}\ncommitter C <c@example.com> ${1_600_000_000 + tree} +0000\n` +
          'data 0\ndeleteall\n',
      ),
    );
    for (const [name, { mode, content }] of files) parts.push(printFile(name, mode, content));
  }
  return Buffer.concat([...parts, Buffer.from('done\n')]);

  function change(): void {
    const name = pick(NAMES, 'a');
    const old = files.get(name);
    const what = below(10);
    if (what === 0) files.delete(name);
    else if (what === 1 && old !== undefined) rename(name, old);
    else if (what < 5 && old !== undefined && isText(old))
      files.set(name, { ...old, content: edited(old.content) });
    else files.set(name, newFile());
  }

  function rename(name: string, file: File): void {
    files.delete(name);
    files.set(
      pick(NAMES, 'a'),
      isText(file) && below(2) === 0 ? { ...file, content: edited(file.content) } : file,
    );
  }

  function newFile(): File {
    const what = below(12);
    if (what === 0) return { mode: '120000', content: Buffer.from(pick(LINES.slice(0, 2), 'one')) };
    if (what === 1) return { mode: '160000', content: Buffer.from(pick(GITLINKS, '1').repeat(hexLength)) };
    if (what === 2) return { mode: '100644', content: Buffer.from([below(256), 0, below(256)]) };
    const lines = Array.from({ length: below(40) }, () => `${pick(LINES, '')} ${below(3)}`);
    return {
      mode: pick(['100644', '100755'], '100644'),
      content: Buffer.from(lines.join('\n') + (below(3) === 0 ? '' : '\n'), 'latin1'),
    };
  }

  function edited(content: Buffer): Buffer {
    const lines = content.toString('latin1').split('\n');
    lines.splice(below(lines.length), below(3), ...Array.from({ length: below(3) }, () => pick(LINES, '')));
    return Buffer.from(lines.join('\n'), 'latin1');
  }
}

function isText({ mode }: File): boolean {
  return mode.startsWith('100');
}

function printFile(name: string, mode: string, content: Buffer): Buffer {
  const escaped = Array.from(name, (letter) => `\\${letter.charCodeAt(0).toString(8).padStart(3, '0')}`).join(
    '',
  );
  if (mode === '160000') return Buffer.from(`M ${mode} ${content.toString()} "${escaped}"\n`);
  return Buffer.concat([
    Buffer.from(`M ${mode} inline "${escaped}"\ndata ${content.length}\n`),
    content,
    Buffer.from('\n'),
  ]);
}
