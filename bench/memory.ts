import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { postedFetch } from './clone.ts';
import type { Bench } from './lib/bench.ts';
import { residentMb } from './lib/process-usage.ts';
import { git, runProgram } from './lib/run-program.ts';
import { sink } from './lib/sink.ts';

const GOAL = { of: 'value', atMost: 200 } as const;

/** Measures the peak memory of a server while large data passes through it. */
export const bench: Bench = {
  name: 'memory',
  question: 'highest resident memory while 2 GB are cloned and pushed (quick: 250 MB)',
  async *run(workshop) {
    const repository = await workshop.repository(workshop.quick ? '250mb' : '2gb');
    const server = await workshop.server();
    const fetch = await postedFetch(repository, server.socket);
    await fetch.into(sink());
    const gigabytes = (await fetch.close()) / 1e9;
    const note = `${gigabytes.toFixed(2)} GB`;
    yield {
      name: 'peak, clone by sidechannel',
      value: residentMb(server.pid).peak,
      unit: 'MB',
      goal: GOAL,
      note,
    };
    await server.stop();

    const gateway = await workshop.gateway();
    const clone = join(workshop.directory, 'clone.git');
    await runProgram('git', [
      'clone',
      '--quiet',
      '--bare',
      `${gateway.url}/${repository.wire.relativePath}`,
      clone,
    ]);
    yield {
      name: 'peak, clone by HTTP',
      value: residentMb(gateway.pid).peak,
      unit: 'MB',
      goal: GOAL,
      note: `${note}, server and gateway`,
    };
    rmSync(clone, { recursive: true });

    await git(repository.path, ['push', '--quiet', `${gateway.url}/pushed.git`, 'main']);
    yield {
      name: 'peak, push by HTTP',
      value: residentMb(gateway.pid).peak,
      unit: 'MB',
      goal: GOAL,
      note: `${note}, server and gateway`,
    };
  },
};
