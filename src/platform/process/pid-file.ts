import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** Variable with the path of the file. */
export const PID_FILE_VARIABLE = 'GITALY_PID_FILE';

/**
 * Writes the pid of this process to the file named by `GITALY_PID_FILE` when the server is ready; a
 * supervisor reads it. The file is replaced atomically. Without that variable it does nothing.
 *
 * @returns a function that removes the file, unless a successor has written its own pid since.
 */
export function writePidFile(env: NodeJS.ProcessEnv = process.env): () => void {
  const path = env[PID_FILE_VARIABLE];
  if (!path) return () => {};
  const pid = String(process.pid);
  const next = `${path}.${pid}`;
  writeFileSync(next, pid);
  renameSync(next, path);
  return () => {
    try {
      if (readFileSync(path, 'utf8') === pid) rmSync(path);
    } catch {
      // The file is gone or unreadable, which does not matter at the end.
    }
  };
}
