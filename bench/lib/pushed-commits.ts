import { git } from './run-program.ts';

/**
 * Makes lines of empty commits on `main`, one line for each client, and returns their ids, oldest
 * first. No reference names them on the way to the server, so each push sends one commit.
 */
export async function makeCommits(path: string, clients: number, count: number): Promise<string[][]> {
  const stream: string[] = [];
  for (let client = 0; client < clients; client++) {
    for (let index = 0; index < count; index++) {
      const message = `change ${index} of client ${client}\n`;
      stream.push(
        `commit refs/bench/${client}\ncommitter Bench <bench@example.com> ${1_710_000_000 + index} +0000\n` +
          `data ${message.length}\n${message}${index === 0 ? 'from refs/heads/main\n' : ''}`,
      );
    }
  }
  await git(path, ['fast-import', '--quiet'], { input: stream.join('') });
  const lines: string[][] = [];
  for (let client = 0; client < clients; client++) {
    const listed = await git(path, ['rev-list', '--reverse', `main..refs/bench/${client}`]);
    lines.push(listed.split('\n'));
  }
  return lines;
}
