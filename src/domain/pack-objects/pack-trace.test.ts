import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { TraceFile } from '../git-service/trace-file.ts';
import { packTraceEvents, packTraceFields } from './pack-trace.ts';

const [, minor = 0] = /^git version 2\.(\d+)/.exec(gitOutput('.', ['--version']))?.map(Number) ?? [];
/** Older ones trace the stages only. */
const HAS_NUMBERS = minor >= 42;

function observed() {
  const statistics: Record<string, number> = {};
  const stages: string[] = [];
  return {
    statistics,
    stages,
    statistic: (name: string, value: number) => {
      statistics[name] = value;
    },
    stage: (name: string) => void stages.push(name),
  };
}

test('the fields of the log have the numbers of git', async () => {
  const directory = makeScratchDirectory('trace');
  const repository = join(directory, 'a.git');
  initRepository(repository);
  const blobs = ['one', 'two', 'three'].map((input) =>
    execFileSync('git', ['-C', repository, 'hash-object', '-w', '--stdin'], { input }).toString(),
  );
  const observer = observed();
  {
    await using trace = new TraceFile(directory);
    execFileSync('git', ['-C', repository, 'pack-objects', '--stdout', '-q'], {
      input: blobs.join(''),
      env: { ...process.env, ...trace.env },
    });

    const fields = await packTraceFields(trace, observer);

    // The names and values of Gitaly 19.0 for a pack of new blobs.
    assert.equal(fields['trace2.activated'], 'true');
    assert.equal(fields['trace2.hooks'], 'pack_objects_metrics');
    const counts = ['written_object_count', 'written_object_delta_count', 'reused_objects_count'];
    const expected = HAS_NUMBERS ? [3, 0, 0] : [undefined, undefined, undefined];
    assert.deepEqual(
      counts.map((name) => fields[`pack_objects.${name}`]),
      expected,
    );
    assert.equal(observer.statistics['written-objects-total'], expected[0]);
    for (const name of ['enumerate_objects_ms', 'prepare_pack_ms', 'write_pack_file_ms'])
      assert.ok(Number.isInteger(fields[`pack_objects.${name}`]), name);
    assert.deepEqual(observer.stages.sort(), ['enumerate-objects', 'prepare-pack', 'write-pack-file']);
  }

  assert.deepEqual(
    readdirSync(directory).filter((name) => name !== 'a.git'),
    [],
  );
  rmSync(directory, { recursive: true });
});

test('a trace that git has not written is told in the log', async () => {
  const directory = makeScratchDirectory('trace');
  await using trace = new TraceFile(directory);

  const fields = await packTraceFields(trace, observed());

  assert.match(String(fields['trace2.error']), /^trace2: parsing events: ENOENT/);
  assert.equal(existsSync(trace.env.GIT_TRACE2_EVENT ?? ''), false);
  rmSync(directory, { recursive: true });
});

test('events are added up, and those that are cut off or of others are ignored', () => {
  const data = (category: string, value: string) =>
    `{"event":"data","category":"${category}","key":"written","value":"${value}"}\n`;
  const left = '{"event":"region_leave","t_rel":0.25,"category":"pack-objects","label":"prepare-pack"}\n';

  const { numbers, stages } = packTraceEvents(
    `${data('pack-objects', '2')}${data('index', '9')}${data('pack-objects', '3')}` +
      `${data('pack-objects', 'x')}${left}${left}{"event":"data","category":"pack-objects","key":"wri`,
  );

  assert.deepEqual([...numbers], [['written', 5]]);
  assert.deepEqual([...stages], [['prepare-pack', 0.5]]);
});
