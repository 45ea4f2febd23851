import { readFileSync, rmSync } from 'node:fs';
import { replaceFile } from '#base/files/replace-file';

/** Variable with the path of the file. */
export const PID_FILE_VARIABLE = 'GITALY_PID_FILE';
/** For supervisors of other users, unless the umask forbids it. */
const FILE_MODE = 0o666;

/**
 * Writes the pid of this process to the file named by `GITALY_PID_FILE` when the server is ready; a
 * supervisor reads it. The file is replaced atomically. Without that variable it does nothing.
 *
 * @returns a function that removes the file, unless a successor has written its own pid since.
 */
export async function writePidFile(env: NodeJS.ProcessEnv = process.env): Promise<() => void> {
  const path = env[PID_FILE_VARIABLE];
  if (!path) return () => {};
  const pid = String(process.pid);
  await replaceFile(path, pid, { durable: false, mode: FILE_MODE });
  return () => {
    try {
      if (readFileSync(path, 'utf8') === pid) rmSync(path);
    } catch {
      // The file is gone or unreadable, which does not matter at the end.
    }
  };
}
