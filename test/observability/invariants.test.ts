import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { type Connection, watchEvents } from '#client/index';
import { formatEventLine, parseEventLine } from '#events/event-line';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';

const repositoryAt = (relativePath: string) => ({ storageName: 'default', relativePath });
const ARGUMENTS = { everyListener: true, config: '[events]\nenabled = true\n' };

async function counted({ monitoring }: GitalyProcess): Promise<Record<string, number>> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  get(`http://${monitoring}/metrics`, (response) => text(response).then(resolve, reject)).on('error', reject);
  const lines = (await promise).matchAll(
    /^gitaly_ts_invariant_violations_total\{invariant="([^"]+)"\} (\d+)$/gm,
  );
  return Object.fromEntries(Array.from(lines, ([, name = '', count]) => [name, Number(count)]));
}

async function infoRefs({ smartHttp }: Connection): Promise<Buffer> {
  const answers = await Array.fromAsync(smartHttp.infoRefsUploadPack({ repository: repositoryAt('x.git') }));
  return Buffer.concat(answers.map(({ data }) => data));
}

async function allEvents(connection: Connection): Promise<void> {
  const signal = AbortSignal.timeout(20_000);
  for await (const _event of watchEvents(connection, { storageName: 'default', after: 0n, signal }));
}

test('a state that a server cannot have written ends a call, and is in its log and metrics', async () => {
  await using gitaly = await startGitalyProcess(ARGUMENTS);
  const connection = await gitaly.connect();
  await connection.repository.createRepository({ repository: repositoryAt('x.git') });
  const expected = await infoRefs(connection);
  const latest = join(gitaly.directory, 'default/+gitaly/state/x.git/latest');
  assert.ok(readFileSync(latest).length > 0);
  assert.deepEqual(new Set(Object.values(await counted(gitaly))), new Set([0]));
  writeFileSync(latest, 'planted');

  await assert.rejects(infoRefs(connection), {
    code: 'INTERNAL',
    message: 'broken invariant: a generation is not as it was written',
  });

  assert.deepEqual(await infoRefs(connection), expected);
  assert.equal((await counted(gitaly))['cache-generation'], 1);
  await until(() => /msg="an invariant is broken"/.test(gitaly.log()));
  const lines = gitaly.log().match(/^.*msg="an invariant is broken".*$/gm);
  assert.equal(lines?.length, 1);
  assert.match(lines[0], /level=error/);
  assert.match(lines[0], /correlation_id=\S+.* invariant=cache-generation method=\/gitaly\.SmartHTTPService/);
});

test('events out of order end the call of their reader only', async (context) => {
  const directory = makeScratchDirectory('invariants');
  context.after(() => rmSync(directory, { recursive: true }));
  {
    await using gitaly = await startGitalyProcess({ ...ARGUMENTS, directory });
    const { repository } = await gitaly.connect();
    for (const name of ['a.git', 'b.git', 'c.git'])
      await repository.createRepository({ repository: repositoryAt(name) });
  }
  await using gitaly = await startGitalyProcess({ ...ARGUMENTS, directory });
  const connection = await gitaly.connect();
  const journal = join(directory, 'default/+gitaly/events/journal');
  const [name = ''] = readdirSync(journal).filter((each) => each.endsWith('.log'));
  const file = join(journal, name);
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const second = parseEventLine(Buffer.from(lines[1] ?? ''));
  assert.ok(second !== undefined);
  lines[1] = formatEventLine({ ...second, sequence: 1 }).trimEnd();
  writeFileSync(file, `${lines.join('\n')}\n`);

  await assert.rejects(allEvents(connection), {
    code: 'INTERNAL',
    message: 'broken invariant: events of a journal are out of order',
  });

  await connection.repository.createRepository({ repository: repositoryAt('d.git') });
  assert.equal((await counted(gitaly))['journal-order'], 1);
  assert.match(gitaly.log(), /msg="an invariant is broken".* invariant=journal-order/);
});
