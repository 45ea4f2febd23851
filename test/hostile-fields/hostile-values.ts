import type { Sandbox } from './sandbox.ts';

/** A value that a field may hold, and what it may not lead to. */
export type HostileValue = string | Buffer;

/** Longer than one argument of a program may be on Linux (128 KiB). */
const LONG = 200_000;

/** Lists the values that are put into every field, as they are. */
export function hostileValues({ canaries, secretFile, otherRepository }: Sandbox): HostileValue[] {
  const written = `${canaries}/written`;
  const run = `touch ${canaries}/executed`;
  return [
    // Options of git's commands.
    `--output=${written}`,
    '--output=written',
    `-o${written}`,
    `-O${written}`,
    `--output-directory=${canaries}`,
    `--upload-pack=${run}`,
    `--receive-pack=${run}`,
    `--exec=${run}`,
    `--open-files-in-pager=${run}`,
    `--template=${canaries}`,
    `--git-dir=${otherRepository}`,
    `--contents=${secretFile}`,
    `--ignore-revs-file=${secretFile}`,
    `--pathspec-from-file=${secretFile}`,
    `--file=${secretFile}`,
    `--add-file=${secretFile}`,
    `-S${secretFile}`,
    `-ccore.sshCommand=${run}`,
    '--no-index',
    '--all',
    '--not',
    '--stdin',
    '--help',
    '--end-of-options',
    '--',
    '-',
    '-h',
    '-1',
    '--glob=*',
    `--branches=x\n--output=${written}`,
    // Paths.
    secretFile,
    otherRepository,
    '/dev/null',
    '../../secret',
    '../other.git',
    '../other.git/objects',
    '.',
    '..',
    '/',
    '//',
    'a/../../x',
    'dir/',
    'link-outside',
    'link-outside/x',
    'config',
    'hooks/post-update',
    'objects/info/alternates',
    '+gitaly/tmp',
    '.git/config',
    // Pathspecs.
    ':(attr:diff)',
    ':(attr:!diff)README.md',
    ':(top)',
    ':(exclude)*',
    ':!README.md',
    ':/',
    ':(glob)**',
    ':(prefix:3)x',
    ':(unknown)x',
    ':(',
    '**',
    '[',
    '*',
    // Revisions.
    'main..topic',
    'main...topic',
    '..',
    '...',
    '^main',
    'main^@',
    'main^!',
    'main^-',
    'main^-99',
    'main~99999999999999999999',
    '@',
    '@{-1}',
    '@{u}',
    '@{push}',
    '@{1 day ago}',
    'main@{0}',
    'main@{99999999999999999999}',
    ':/commit',
    'main^{/commit}',
    'main^{/(}',
    'main^{tree}',
    'main^{',
    ':README.md',
    'main:README.md',
    'main:./README.md',
    ':0:README.md',
    'HEAD',
    'FETCH_HEAD',
    'refs/heads/--x',
    'refs/heads/-x',
    'refs/heads/.x',
    'refs/heads/x.lock',
    'refs/heads/main/x',
    'refs/heads/a..b',
    'refs/heads/../../config',
    'refs/heads/@{x',
    'refs/',
    '0000000000000000000000000000000000000000',
    '4b825dc642cb6eb9a060e54bf8d69288fbee4904',
    '4b825dc642cb6eb9a060e54bf8d69288fbee490',
    '4b825dc642cb6eb9a060e54bf8d69288fbee49044',
    '4b825dc642cb6eb9a060e54bf8d69288fbee4904 blob 5',
    // Lines, NUL and bytes that are no text.
    '\n',
    '\0',
    ' ',
    '\t',
    '\r\n',
    'main\nHEAD',
    'main\n--all',
    'main:README.md\n--all',
    `main:README.md\n--output=${written}`,
    'main\r',
    'main\0HEAD',
    'main\ncontents HEAD',
    'README.md\0README.md',
    Buffer.from('\xff\xfe', 'latin1'),
    Buffer.from('main\xed\xa0\x80', 'latin1'),
    Buffer.from('\xc0\xaf\xc0\xae', 'latin1'),
    '\u{feff}main',
    '\u{202e}main',
    // Long ones.
    'a'.repeat(LONG),
    'a/'.repeat(LONG / 2),
    '../'.repeat(LONG / 3),
    '('.repeat(LONG),
    `refs/heads/${'x'.repeat(300)}`,
    // Patterns, formats, numbers, names that mean something elsewhere.
    '(a*)*b',
    '(?<x>',
    '\\',
    '%(objectname)',
    '%(if)',
    '%s%n%x00',
    '1e999',
    'NaN',
    '18446744073709551616',
    '1,+',
    ',',
    '__proto__',
    'constructor',
    'toString',
    '{}',
    'eyJmaWxlX25hbWUiOiItLW91dHB1dD14IiwidHJlZV9vaWQiOiItLWFsbCJ9',
    'bnVsbA==',
    // What a shell, or git's transports, would run.
    `$(${run})`,
    `;${run}`,
    `|${run}`,
    `\`${run}\``,
    `ext::sh -c ${run.replaceAll(' ', '% ')}`,
    `ssh://-oProxyCommand=${run}/x`,
    `file://${otherRepository}`,
    // Variables and settings.
    `GIT_TRACE=${written}`,
    `GIT_DIR=${otherRepository}`,
    'GITALY_HOOKS_PAYLOAD=e30=',
    'GITALY_HOOKS_PAYLOAD=bnVsbA==',
    `core.hooksPath=${canaries}`,
    `alias.x=!${run}`,
    '=',
    'x',
    '',
  ];
}

/** Lists the values that are always tried in a field, alone and joined with the valid one. */
export function essentialValues({ canaries, secretFile }: Sandbox, valid: Buffer): HostileValue[] {
  const option = `--output=${canaries}/written`;
  const known = valid.length === 0 ? 'main' : valid.toString('latin1');
  return [option, secretFile, `${known}...${option}`, `${option}..${known}`, `main\n${option}`];
}

/**
 * Lists pairs of values that fields of one message hold by turns: some things happen only when two
 * words are alike.
 */
export function valuePairs({
  canaries,
  secretFile,
  otherRepository,
}: Sandbox): (readonly [HostileValue, HostileValue])[] {
  return [
    [secretFile, '/dev/null'],
    ['/dev/null', secretFile],
    ['/written', `--output=${canaries}/`],
    [otherRepository, '.'],
    ['--', secretFile],
    ['main', '--no-index'],
    ['\0', '\n'],
    ['', ''],
  ];
}

/** Lists the hostile values joined with a valid one, as git's syntax joins two. */
export function joinedValues(values: readonly HostileValue[], valid: Buffer): Buffer[] {
  const known = valid.length === 0 ? Buffer.from('main') : valid;
  return values.flatMap((value) => {
    const hostile = Buffer.from(value);
    return [
      Buffer.concat([known, Buffer.from('..'), hostile]),
      Buffer.concat([hostile, Buffer.from('..'), known]),
      Buffer.concat([known, Buffer.from('...'), hostile]),
      Buffer.concat([hostile, Buffer.from('...'), known]),
      Buffer.concat([hostile, Buffer.from('^{commit}')]),
      Buffer.concat([hostile, Buffer.from(':README.md')]),
      Buffer.concat([known, Buffer.from(':'), hostile]),
      Buffer.concat([Buffer.from('^'), hostile]),
      Buffer.concat([known, Buffer.from('\n'), hostile]),
      Buffer.concat([known, Buffer.from('/'), hostile]),
    ];
  });
}
