import { stat } from 'node:fs/promises';
import { copyStream } from '#base/streams/copy-stream';
import { collectOutput } from '#git/command/collect-output';
import { flag, gitCommand, joined } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import type { ObjectWriter } from '#git/objects/write/write-objects';
import type { Repository } from '#storage/repository';
import type { WriteFile } from './receive-actions.ts';

const MAX_OID_LINE = 100;

/**
 * Returns a function that writes files of a call as blobs: unchanged, unless the repository has its
 * own attributes (`info/attributes`). Those may require other line ends, another encoding or a
 * filter, for which git is used. Attributes in the tree are ignored.
 *
 * @param target the repository for blobs, with a quarantine.
 */
export async function fileWriter(
  target: Repository,
  writer: ObjectWriter,
  signal: AbortSignal,
): Promise<WriteFile> {
  if (await hasAttributes(target)) return (path, content) => hashObject(target, { path, content, signal });
  return (_, content) => writer.writeBlob(content);
}

async function hasAttributes({ path }: Repository): Promise<boolean> {
  try {
    return (await stat(`${path}/info/attributes`)).size > 0;
  } catch {
    return false; // missing or unreadable: git would not read it either
  }
}

async function hashObject(
  target: Repository,
  file: { readonly path: Buffer; readonly content: AsyncIterable<Uint8Array>; readonly signal: AbortSignal },
): Promise<string> {
  const { path, content, signal } = file;
  const command = gitCommand('hash-object', {
    options: [flag('-w'), flag('--stdin'), joined('--path', path)],
  });
  await target.spawnTurn(signal);
  await using git = target.spawn(command, { signal, stdin: 'pipe' });
  const feeding = copyStream(content, git.stdin).then(
    () => git.stdin.end(),
    (error: unknown) => {
      git.kill();
      throw error;
    },
  );
  const [fed, hashed] = await Promise.allSettled([feeding, collectOutput(git, { maxBytes: MAX_OID_LINE })]);
  // A git that fails closes its input; its exit describes the error better than the broken pipe.
  if (
    hashed.status === 'rejected' &&
    hashed.reason instanceof GitExitError &&
    hashed.reason.signal === undefined
  )
    throw hashed.reason;
  if (fed.status === 'rejected') throw fed.reason;
  if (hashed.status === 'rejected') throw hashed.reason;
  return hashed.value.toString('latin1').trim();
}
