import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '#base/gitaly-error';
import { dial } from '#client/index';
import { Repository } from '#client/repository/index';
import { configFrom, createLogger, GitalyServer } from '#gitaly/index';
import { type Finding, failure, ok } from './finding.ts';

const STORAGE = 'doctor';
const USER = { id: 'user-1', username: 'doctor', name: 'Doctor', email: 'doctor@localhost' };
const CONTENT = 'written and read back\n';
const CALL_LIMIT_MS = 20_000;

/** Starts a server on a temporary directory, commits a file and reads it back. */
export async function roundTrip(gitBinary: string): Promise<Finding> {
  const startedAt = performance.now();
  const directory = await mkdtemp(join(tmpdir(), 'gitaly-doctor-'));
  try {
    const content = await writeAndRead(directory, gitBinary);
    if (content !== CONTENT)
      throw new Error(`read ${JSON.stringify(content)}, wrote ${JSON.stringify(CONTENT)}`);
    return ok(
      'round trip',
      'a repository was created, written, read and removed in ' +
        `${Math.round(performance.now() - startedAt)} ms`,
    );
  } catch (error) {
    return failure(
      'round trip',
      messageOf(error),
      'Fix the findings above. If there are none, report this with the output of "gitaly-ts doctor --json".',
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function writeAndRead(directory: string, gitBinary: string): Promise<string> {
  for (const name of ['storage', 'run']) await mkdir(join(directory, name));
  await using server = await GitalyServer.start({
    config: configFrom({
      socket_path: join(directory, 's'),
      runtime_dir: join(directory, 'run'),
      storage: [{ name: STORAGE, path: join(directory, 'storage') }],
      ...(gitBinary.includes('/') && { git: { bin_path: gitBinary } }), // otherwise the one on the PATH
    }),
    logger: createLogger({ format: 'text', level: 'panic', stream: process.stderr }),
  });
  await using connection = await dial(server.addresses.unix ?? '', { defaultTimeoutMs: CALL_LIMIT_MS });
  const path = 'doctor.git';
  const repository = new Repository(connection, { storage: STORAGE, path, glRepository: path, user: USER });
  await repository.create();
  const action = { type: 'create', path: 'file', content: CONTENT } as const;
  await repository.commit({ branch: 'main', message: 'Round trip', actions: [action] });
  const content = await repository.readFile('main', 'file');
  await repository.remove();
  return content;
}
