import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/**
 * Writes our pid to the file that `GITALY_PID_FILE` names, when the server is ready; a supervisor reads it. The file is replaced
 * in one step. Without that variable nothing happens.
 *
 * @returns a function that removes the file, unless a successor has written its own pid meanwhile.
 */
export function writePidFile(env: NodeJS.ProcessEnv = process.env): () => void {
  const path = env.GITALY_PID_FILE;
  if (!path) return () => {};
  const pid = String(process.pid);
  const next = `${path}.${pid}`;
  writeFileSync(next, pid);
  renameSync(next, path);
  return () => {
    try {
      if (readFileSync(path, 'utf8') === pid) rmSync(path);
    } catch {
      // Gone already, or no longer readable: not ours to care about on the way out.
    }
  };
}
