import { posix } from 'node:path';
import { replaceFile } from '#base/files/replace-file';
import { alternateDirectory, readAlternates } from '../alternates.ts';

const FILE_MODE = 0o644;

/** A directory and the path to which it is about to move. */
export interface Move {
  readonly from: string;
  readonly to: string;
}

/** The end of a move. */
export interface PreparedAlternates {
  /** Makes the paths relative again, in the repository at its new path. */
  done(): Promise<void>;
  /** Writes the former lines: the repository stays. */
  failed(): Promise<void>;
}

/**
 * Prepares the alternates of a repository for its move: relative paths that would lead elsewhere
 * are absolute until it has moved, so that its objects are found whenever the process dies.
 *
 * @param moved the directory that moves with the repository, by default its own: relative paths
 *   inside it stay.
 * @returns `undefined` if nothing has to change.
 * @throws the system's errors.
 */
export async function prepareAlternates(
  { from, to }: Move,
  moved = from,
): Promise<PreparedAlternates | undefined> {
  const lines = (await readAlternates(from))?.objectDirectories ?? [];
  const absolute = lines.map((line) => {
    const directory = alternateDirectory(from, line);
    return `${directory}/`.startsWith(`${moved}/`) ? line : directory;
  });
  const after = lines.map((line, at) =>
    line.startsWith('/') || absolute[at] === line
      ? line
      : posix.relative(`${to}/objects`, absolute[at] ?? line),
  );
  if (after.every((line, at) => line === lines[at])) return undefined;
  const write = async (path: string, content: readonly string[]): Promise<void> =>
    await replaceFile(`${path}/objects/info/alternates`, content.map((line) => `${line}\n`).join(''), {
      durable: true,
      mode: FILE_MODE,
    });
  await write(from, absolute);
  return { done: () => write(to, after), failed: () => write(from, lines) };
}
